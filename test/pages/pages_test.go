package pages

import (
	"slices"
	"testing"
)

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct {
		block string
		want  []string
	}{
		"lines":       {"a\n# b is\nc   # c's", []string{"a", "c   # c's"}},
		"continued":   {"a \\\n  b\nc", []string{"a \\\n  b", "c"}},
		"quoted":      {"a '\n  b' d\nc", []string{"a '\n  b' d", "c"}},
		"escaped":     {`a "{\"b\"}'"` + "\nc", []string{`a "{\"b\"}'"`, "c"}},
		"piped":       {"a |\n  b\nc", []string{"a |\n  b", "c"}},
		"document":    {"a <<EOF\nb 'c\nEOF\nd", []string{"a <<EOF\nb 'c\nEOF", "d"}},
		"loop":        {"for a in b; do\n  c '\n  d'\ndone\ne", []string{"for a in b; do\n  c '\n  d'\ndone", "e"}},
		"unfinished":  {"a '\nb", []string{"a '\nb"}},
		"one line if": {"if a; then b; fi\nc", []string{"if a; then b; fi", "c"}},
	} {
		if got := split(c.block); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
