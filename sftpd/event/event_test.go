package event

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestCut: the logged part of a client's string fits the limit, is the longest prefix that does, and is not cut in the middle of
// a character.
func TestCut(t *testing.T) {
	for _, s := range []string{
		"", "a", "plain", "ä", "aä", "äa", "日本語", "a日b本c", "😀", "a😀b😀", "é\u0301", // 1 to 4 bytes a character
		"\x80\x80\x80\x80\x80\x80", "a\xff\xfeb", "日\x80\x80", "\xf0\x9f\x98", // no UTF-8
		strings.Repeat("x", MaxName+1), strings.Repeat("語", MaxName),
	} {
		for limit := range len(s) + 3 {
			got := Cut(s, limit)
			switch {
			case len(s) <= limit && got != s:
				t.Errorf("%q fits into %d bytes and becomes %q", s, limit, got)
			case len(got) > limit:
				t.Errorf("%q has %d bytes, more than %d", got, len(got), limit)
			case !strings.HasPrefix(s, got):
				t.Errorf("%q is not the beginning of %q", got, s)
			case utf8.ValidString(s) && !utf8.ValidString(got):
				t.Errorf("%q, cut at %d, is %q", s, limit, got)
			case utf8.ValidString(s) && len(got) < min(limit, len(s)):
				if _, size := utf8.DecodeRuneInString(s[len(got):]); len(got)+size <= limit {
					t.Errorf("%q, cut at %d, is %q: another character fits", s, limit, got)
				}
			case len(got) < min(limit, len(s))-utf8.UTFMax:
				t.Errorf("%q, cut at %d, is %q: more is lost than a character", s, limit, got)
			}
		}
	}
}

// TestLimitsAreTheDocuments: the documentation states the limits.
func TestLimitsAreTheDocuments(t *testing.T) {
	docs, err := os.ReadFile("../../docs/audit-log.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("Text beyond %d bytes (a path: %d,", MaxName, MaxPath); !strings.Contains(string(docs), want) {
		t.Errorf("docs/audit-log.md does not say %q", want)
	}
}

// order is a sink that writes down its name.
type order struct {
	name string
	to   *[]string
}

func (o order) Emit(e Event) {
	*o.to = append(*o.to, o.name+" "+string(e.(Refused).Reason))
}

// TestSinks: each sink gets each event, in the order of the list: those that may wait are the last ones.
func TestSinks(t *testing.T) {
	var got []string
	all := Sinks{order{"metrics", &got}, Sinks{order{"trace", &got}, order{"outbox", &got}}, order{"audit", &got}}
	all.Emit(Refused{Reason: Startups})
	all.Emit(Refused{Reason: OpenFiles})
	const want = "metrics startups, trace startups, outbox startups, audit startups, " +
		"metrics open_files, trace open_files, outbox open_files, audit open_files"
	if have := strings.Join(got, ", "); have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
}

// TestReasons: each reason is one word that no other reason uses, it appears on the pages about the audit log and the metrics,
// and its meaning, where it has one, completes a sentence.
func TestReasons(t *testing.T) {
	var docs []byte
	for _, page := range []string{"audit-log.md", "monitoring.md"} { // some are only counted
		content, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, content...)
	}
	word := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	byWord, explained := map[Reason]string{}, 0
	for name, r := range reasons(t) {
		if other, ok := byWord[r]; ok {
			t.Errorf("%s and %s are both %s", name, other, r)
		}
		byWord[r] = name
		if !word.MatchString(string(r)) {
			t.Errorf("%s: %q is not a word for a label", name, r)
		}
		if !regexp.MustCompile(`\b` + string(r) + `\b`).Match(docs) {
			t.Errorf("neither page has %s", r)
		}
		m := r.Meaning()
		if m == "" {
			continue
		}
		explained++
		if strings.HasSuffix(m, ".") || m != strings.TrimSpace(m) {
			t.Errorf("%s: %q does not continue in a sentence", r, m)
		}
	}
	if explained != len(meanings) {
		t.Errorf("%d reasons have a meaning, of %d", explained, len(meanings))
	}
	if m := Reason("of_another_version").Meaning(); m != "" {
		t.Errorf("a reason that is not known means %q", m)
	}
}

// reasons returns the reasons that are declared, by the names of their constants.
func reasons(t *testing.T) map[string]Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]Reason{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is not a string", spec.Names[0])
		}
		value, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		out[spec.Names[0].Name] = Reason(value)
		return true
	})
	if len(out) < 50 {
		t.Fatalf("found %d reasons", len(out))
	}
	return out
}

// TestEveryLoginIsExplained: anyone who asks why a login was refused, or why a session was ended, gets an answer for each reason
// of those groups.
func TestEveryLoginIsExplained(t *testing.T) {
	// What ends or is refused in a session is not about the login, and has its line in docs/audit-log.md only.
	inSession := map[Reason]bool{
		DrainTimeout: true, IdleTimeout: true, StorageUnavailable: true, ChannelRefused: true, RequestRefused: true,
		UnusedChannel: true, UnreadData: true, ClientNotReading: true, OpenFiles: true,
	}
	for name, r := range reasons(t) {
		if (r.Meaning() == "") != inSession[r] {
			t.Errorf("%s means %q", name, r.Meaning())
		}
	}
}
