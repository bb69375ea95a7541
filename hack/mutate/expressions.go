package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// choose adds a mutant that replaces one expression with another.
func (f *finder) choose(n ast.Expr, alternative string) {
	var guard func(on, inner string) string
	if name := f.typeName(f.typeOf(n)); name != "" {
		guard = func(on, inner string) string {
			return fmt.Sprintf("func() %s { if %s { return %s }; return %s }()", name, on, alternative, inner)
		}
	}
	f.add(n, f.code(n)+" -> "+alternative, alternative, guard)
}

// inCondition reports whether an expression is a condition, or an operand of && or ||, which have their own mutants.
func (f *finder) inCondition() bool {
	switch p := f.parent().(type) {
	case *ast.IfStmt, *ast.ForStmt:
		return true
	case *ast.BinaryExpr:
		return p.Op == token.LAND || p.Op == token.LOR
	case *ast.CaseClause:
		return f.tagless()
	}
	return false
}

// tagless reports whether the case clause in progress is one of conditions.
func (f *finder) tagless() bool {
	for _, n := range slices.Backward(f.around) {
		if s, ok := n.(*ast.SwitchStmt); ok {
			return s.Tag == nil
		}
	}
	return false
}

// condition adds the mutants that drop a check or make it always fire.
func (f *finder) condition(e ast.Expr) {
	b, _ := ast.Unparen(e).(*ast.BinaryExpr)
	// Mutants of the operands are harder to notice than these.
	if b == nil || b.Op != token.LAND {
		f.always(e, true)
	}
	if b == nil || b.Op != token.LOR {
		f.always(e, false)
	}
}

// always adds the mutant that makes a condition true or false.
func (f *finder) always(e ast.Expr, value bool) {
	f.add(e, fmt.Sprintf("%s -> %t", f.code(e), value), strconv.FormatBool(value), func(on, inner string) string {
		if value {
			return fmt.Sprintf("(%s || (%s))", on, inner)
		}
		return fmt.Sprintf("(!%s && (%s))", on, inner)
	})
}

func (f *finder) negate(e ast.Expr) {
	f.add(e, fmt.Sprintf("%s -> !(%[1]s)", f.code(e)), "!("+f.code(e)+")", func(on, inner string) string {
		return fmt.Sprintf("(%s != (%s))", on, inner)
	})
}

var (
	boundaries = map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}
	arithmetic = map[token.Token]string{
		token.ADD: "-", token.SUB: "+", token.MUL: "/", token.QUO: "*", token.REM: "*", token.AND: "|", token.OR: "&",
		token.XOR: "|", token.SHL: ">>", token.SHR: "<<", token.AND_NOT: "&",
	}
)

// binary adds the mutants of an operator and reports whether its operands may have any.
func (f *finder) binary(n *ast.BinaryExpr) bool {
	switch {
	case f.isConstant(n):
		f.number(n)
		return false
	case n.Op == token.LAND, n.Op == token.LOR:
		for _, e := range []ast.Expr{n.X, n.Y} {
			// Mutants of the operands of the same operator are harder to notice.
			if b, ok := ast.Unparen(e).(*ast.BinaryExpr); !ok || b.Op != n.Op {
				f.always(e, n.Op == token.LAND)
			}
		}
	case boundaries[n.Op] != "":
		other := f.code(n.X) + " " + boundaries[n.Op] + " " + f.code(n.Y)
		f.add(n, f.code(n)+" -> "+other, other, func(on, inner string) string {
			return fmt.Sprintf("(%[1]s && (%[2]s) || !%[1]s && (%[3]s))", on, other, inner)
		})
		if !f.inCondition() {
			f.negate(n)
		}
	case n.Op == token.EQL, n.Op == token.NEQ:
		if !f.inCondition() {
			f.negate(n)
		}
	case arithmetic[n.Op] != "" && isNumber(f.typeOf(n)):
		f.choose(n, "("+f.code(n.X)+") "+arithmetic[n.Op]+" ("+f.code(n.Y)+")")
	}
	return true
}

// number adds the mutants of a constant number: one more and one less, or twice and half of a duration.
func (f *finder) number(n ast.Expr) {
	t, value := f.typeOf(n), f.info.Types[n].Value
	if !isNumber(t) || value == nil {
		return
	}
	code := f.code(n)
	if isDuration(t) && constant.Sign(value) != 0 {
		f.choose(n, "("+code+")*2")
		f.choose(n, "("+code+")/2")
		return
	}
	f.choose(n, code+" + 1")
	if b, ok := t.Underlying().(*types.Basic); ok && b.Info()&types.IsUnsigned != 0 && constant.Sign(value) == 0 {
		return
	}
	f.choose(n, code+" - 1")
}

// literal adds the mutants of a number. In a comparison, some would be those of the operator.
func (f *finder) literal(n *ast.BasicLit) {
	if n.Kind != token.INT && n.Kind != token.FLOAT {
		return
	}
	p, _ := f.parent().(*ast.BinaryExpr)
	switch {
	case p == nil || boundaries[p.Op] == "" && p.Op != token.EQL && p.Op != token.NEQ || isDuration(f.typeOf(n)):
		f.number(n)
	case p.Op == token.EQL || p.Op == token.NEQ:
		if n.Value != "0" {
			f.choose(n, n.Value+" + 1")
		}
	case (p.Op == token.GTR || p.Op == token.LEQ) == (ast.Unparen(p.Y) == n):
		f.choose(n, n.Value+" + 1")
	default:
		f.choose(n, n.Value+" - 1")
	}
}

func (f *finder) boolean(n *ast.Ident) {
	o, ok := f.info.Uses[n].(*types.Const)
	if ok && o.Pkg() == nil && isBool(o.Type()) {
		f.choose(n, map[string]string{"true": "false", "false": "true"}[n.Name])
	}
}

// constants adds the mutants of the numbers that a declaration names.
func (f *finder) constants(d *ast.GenDecl) {
	around := f.around
	for _, spec := range d.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		f.around = slices.Concat(around, []ast.Node{d, v})
		for _, e := range v.Values {
			if strings.Contains(f.code(e), "iota") {
				continue
			}
			f.number(e)
		}
	}
}

// call adds the mutants of a call and reports whether its arguments may have any.
func (f *finder) call(n *ast.CallExpr) bool {
	switch name := f.code(n.Fun); name {
	case "make", "panic", "new", "cap":
		return false
	case "min", "max":
		args := f.code(n)[len(name):]
		f.choose(n, map[string]string{"min": "max", "max": "min"}[name]+args)
		return true
	}
	if f.info.Types[n.Fun].IsType() || n.Ellipsis != token.NoPos || f.isConstant(n) {
		return true
	}
	// A call that only normalizes a value: without it.
	result := f.typeOf(n)
	if len(n.Args) == 1 && types.Identical(f.typeOf(n.Args[0]), result) {
		f.choose(n, f.code(n.Args[0]))
	}
	if sel, ok := n.Fun.(*ast.SelectorExpr); ok && f.info.Types[sel.X].IsValue() && types.Identical(f.typeOf(sel.X), result) {
		f.choose(n, f.code(sel.X))
	}
	return true
}

// fields adds the mutants that leave out a field of a struct.
func (f *finder) fields(n *ast.CompositeLit) {
	s, ok := f.typeOf(n).Underlying().(*types.Struct)
	if !ok {
		return
	}
	around := f.around
	f.around = slices.Concat(around, []ast.Node{n})
	defer func() { f.around = around }()
	for i, e := range n.Elts {
		t, value := s.Field(i).Type(), e
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			value = kv.Value
			for field := range s.Fields() {
				if field.Name() == f.code(kv.Key) {
					t = field.Type()
				}
			}
			f.zero(value, t, f.code(kv.Key)+" is left out: "+f.code(value))
		} else {
			f.zero(value, t, f.code(value)+" -> zero")
		}
	}
}

// zero adds the mutant that replaces an expression with the zero value of t.
func (f *finder) zero(e ast.Expr, t types.Type, change string) {
	v := f.info.Types[e]
	switch {
	case v.IsNil(), v.Value != nil && (v.Value.Kind() != constant.String || constant.StringVal(v.Value) == ""):
		return // nothing to leave out, or it has its own mutants
	}
	if l, ok := e.(*ast.CompositeLit); ok && len(l.Elts) == 0 {
		return
	}
	name := f.typeName(t)
	if name == "" {
		return
	}
	f.add(e, change, "*new("+name+")", func(on, inner string) string {
		return fmt.Sprintf("mutantZero[%s](%s, %s)", name, on, inner)
	})
}
