package trace

import (
	"encoding/json"
	"math"
	"time"
)

// The types below are messages of OTLP's trace.proto, with field names of the JSON encoding:
// lowerCamelCase, identifiers in hexadecimal, enums as numbers, and integers of 64 bits as
// decimal strings (OTLP specification, "JSON Protobuf Encoding").

// Values of a span's kind and a status code.
const (
	kindInternal = 1
	kindServer   = 2
	codeError    = 2
)

type span struct {
	TraceID      string      `json:"traceId"`
	SpanID       string      `json:"spanId"`
	ParentSpanID string      `json:"parentSpanId,omitempty"`
	Name         string      `json:"name"`
	Kind         int         `json:"kind"`
	Start        int64       `json:"startTimeUnixNano,string"`
	End          int64       `json:"endTimeUnixNano,string"`
	Attributes   []attribute `json:"attributes,omitempty"`
	Status       *status     `json:"status,omitempty"`
}

type status struct {
	Message string `json:"message,omitempty"`
	Code    int    `json:"code"`
}

type attribute struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

// value has exactly one of its fields set.
type value struct {
	String *string `json:"stringValue,omitempty"`
	Int    *int64  `json:"intValue,string,omitempty"`
	Array  *array  `json:"arrayValue,omitempty"`
}

type array struct {
	Values []value `json:"values"`
}

type resource struct {
	Attributes []attribute `json:"attributes"`
}

type scope struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

func (s *span) between(start, end time.Time) { s.Start, s.End = start.UnixNano(), end.UnixNano() }

// text adds an attribute unless it is empty. What is not UTF-8 is replaced by U+FFFD when
// it is encoded.
func (s *span) text(key, v string) {
	if v != "" {
		s.Attributes = append(s.Attributes, attribute{key, value{String: &v}})
	}
}

func (s *span) texts(key string, list []string) {
	if len(list) == 0 {
		return
	}
	values := make([]value, len(list))
	for i := range list {
		values[i].String = &list[i]
	}
	s.Attributes = append(s.Attributes, attribute{key, value{Array: &array{values}}})
}

func (s *span) number(key string, v uint64) {
	n := int64(min(v, math.MaxInt64))
	s.Attributes = append(s.Attributes, attribute{key, value{Int: &n}})
}

// request is the envelope of the spans in an ExportTraceServiceRequest with one resource.
type request struct{ head, tail []byte }

func newRequest(r resource, s scope) (request, error) {
	attributes, err := json.Marshal(r)
	if err != nil {
		return request{}, err
	}
	from, err := json.Marshal(s)
	if err != nil {
		return request{}, err
	}
	return request{
		head: []byte(`{"resourceSpans":[{"resource":` + string(attributes) + `,"scopeSpans":[{"scope":` + string(from) + `,"spans":[`),
		tail: []byte(`]}]}]}`),
	}, nil
}

// body wraps encoded, comma-separated spans in a request.
func (r request) body(spans []byte) []byte {
	out := make([]byte, 0, len(r.head)+len(spans)+len(r.tail))
	out = append(out, r.head...)
	out = append(out, spans...)
	return append(out, r.tail...)
}
