// Package filter evaluates the CEL expressions that choose events for a sink. Tenants write them, so their size and the cost of
// evaluating them for one event are bounded.
package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// maxCost bounds an evaluation, in units of CEL's cost model. A comparison is 1; searching a path of 4 KiB with a regular
// expression of 100 characters costs about 10,000.
const maxCost = 100_000

// Filter chooses events. Nil chooses all.
type Filter struct {
	program cel.Program
}

// Parse compiles an expression. It has one variable, event, which is the event in structured JSON, and its result is a bool.
// Parse returns nil for "".
func Parse(expression string) (*Filter, error) {
	if strings.TrimSpace(expression) == "" {
		return nil, nil
	}
	if len(expression) > delivery.MaxFilter {
		return nil, fmt.Errorf("a filter must not have more than %d bytes", delivery.MaxFilter)
	}
	env, err := cel.NewEnv(
		cel.Variable("event", cel.MapType(cel.StringType, cel.DynType)),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(32),
	)
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, errors.New(oneLine(issues.Err().Error()))
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("its result has the type %s, but must be a bool", t)
	}
	program, err := env.Program(ast, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(100))
	if err != nil {
		return nil, errors.New(oneLine(err.Error()))
	}
	return &Filter{program}, nil
}

// Match reports whether a filter chooses an event in structured JSON. It returns an error, and true, for an expression that
// cannot be evaluated: a receiver can ignore an extra event, but cannot notice a missing one.
func (f *Filter) Match(event []byte) (bool, error) {
	if f == nil {
		return true, nil
	}
	var decoded map[string]any
	d := json.NewDecoder(bytes.NewReader(event))
	d.UseNumber()
	if err := d.Decode(&decoded); err != nil {
		return true, fmt.Errorf("the event is not JSON: %w", err)
	}
	out, _, err := f.program.Eval(map[string]any{"event": numbers(decoded)})
	if err != nil {
		return true, errors.New(oneLine(err.Error()))
	}
	chosen, ok := out.Value().(bool)
	if !ok {
		return true, errors.New("the result is not a bool")
	}
	return chosen, nil
}

// numbers replaces numbers with those of CEL.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
		return v
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
		return v
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		n, _ := v.Float64()
		return n
	}
	return v
}

// maxError bounds an error's text in bytes: CEL's quotes the expression.
const maxError = 300

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError], "") + "…"
	}
	return s
}
