package filter

import (
	"strings"
	"testing"
	"time"
)

const event = `{"specversion":"1.0","id":"1","type":"io.sftp-operator.file.published.v1","subject":"ns/acme/in/a.csv",
"data":{"user":"ns/acme","path":"/in/a.csv","size":12345678901,"ratio":0.5,"methods":["publickey"]}}`

func TestMatch(t *testing.T) {
	for expression, want := range map[string]bool{
		"":                                    true,
		" \n":                                 true,
		`event.data.path.endsWith(".csv")`:    true,
		`event.data.path.endsWith(".xml")`:    false,
		`event.data.size > 1e10`:              true,
		`event.data.size == 12345678901`:      true,
		`event.data.size < 10000000000`:       false,
		`event.data.ratio == 0.5`:             true,
		`"publickey" in event.data.methods`:   true,
		`event.data.path.matches("^/in/.*")`:  true,
		`has(event.data.sha256)`:              false,
		`event.data.user in ["ns/a", "ns/b"]`: false,
	} {
		f, err := Parse(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got, err := f.Match([]byte(event)); got != want || err != nil {
			t.Errorf("%s: %v, %v", expression, got, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for expression, want := range map[string]string{
		"event.data.path ==":                    "Syntax error",
		"path == '/in'":                         "undeclared reference to 'path'",
		`"text"`:                                "must be a bool",
		"1 + 1":                                 "must be a bool",
		strings.Repeat("(", 500):                "",
		strings.Repeat("a", 1025):               "more than 1024 bytes",
		strings.Repeat("!", 900) + "true":       "",
		`event.data.path.matches("(")`:          "",
		`[1].map(x, [1].map(y, x)) == "secret"`: "",
	} {
		f, err := Parse(expression)
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.40s: %v, want %q", expression, err, want)
		}
		if err == nil {
			_, _ = f.Match([]byte(event))
		} else if len(err.Error()) > maxError+len("…") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40s: a long error: %q", expression, err)
		}
	}
}

// What cannot be evaluated lets the event through and says why, and costs little.
func TestFailuresLetThrough(t *testing.T) {
	list := "[" + strings.Repeat("1,", 100) + "1]"
	for name, expression := range map[string]string{
		"no such field": `event.data.sizes > 3`,
		"no bool":       `event.data.path`,
		"too expensive": list + ".all(a, " + list + ".all(b, " + list + ".all(c, a + b + c > 0)))",
	} {
		f, err := Parse(expression)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		began := time.Now()
		if got, err := f.Match([]byte(event)); !got || err == nil || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %v, %v after %s", name, got, err, time.Since(began))
		}
	}
	f, _ := Parse(`event.id == "1"`)
	if got, err := f.Match([]byte(`{"id":`)); !got || err == nil {
		t.Errorf("not an event: %v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`event.data.path.endsWith(".csv")`)
	f.Add(`has(event.data.size) && event.data.size > 10u`)
	f.Fuzz(func(t *testing.T, expression string) {
		p, err := Parse(expression)
		if err == nil {
			_, err = p.Match([]byte(event))
		}
		if err != nil && len(err.Error()) > maxError+len("…") {
			t.Errorf("a long error: %q", err)
		}
	})
}
