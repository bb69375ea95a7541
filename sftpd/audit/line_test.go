package audit

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

func quoted(s string) string {
	var l line
	l.quote(s)
	return string(l.text)
}

// TestQuote: a string is what JSON says, with nothing in it that is not printable.
func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"":               `""`,
		"/a b/ä€𝄞<&>~":   `"/a b/ä€𝄞<&>~"`,
		"\"\\":           `"\"\\"`,
		"a\n\r\t\b\fb":   `"a\n\r\t\u0008\u000cb"`,
		"\x00\x1f\x7f":   `"\u0000\u001f\u007f"`,
		"\u0085\u009b":   `"\u0085\u009b"`,
		"x\u2028\u202ey": `"x\u2028\u202ey"`,
		"\ufffd\uffff":   `"` + "\ufffd" + `\uffff"`,
		"\U000e0001":     `"\udb40\udc01"`,
		"a\xffb\xc3":     `"a\ufffdb\ufffd"`,
	} {
		if got := quoted(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

// TestEveryCharacter quotes each character, and many strings of them.
func TestEveryCharacter(t *testing.T) {
	check := func(s string) {
		t.Helper()
		text := quoted(s)
		for _, r := range text {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q has %U", text, r)
			}
		}
		var back string
		if err := json.Unmarshal([]byte(text), &back); err != nil || back != s {
			t.Fatalf("%q is %s, which is %q: %v", s, text, back, err)
		}
		if r, n := utf8.DecodeRuneInString(s); n == len(s) && r != '"' && r != '\\' && (text == `"`+s+`"`) != unicode.IsPrint(r) {
			t.Errorf("%U is %s", r, text)
		}
	}
	for r := range rune(0x20000) {
		if utf8.ValidRune(r) {
			check(string(r))
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		s := make([]rune, random.IntN(10))
		for i := range s {
			if s[i] = rune(random.IntN([]int{0x80, 0x100, 0x3000, 0x10FFFF}[random.IntN(4)])); !utf8.ValidRune(s[i]) {
				s[i] = 'x'
			}
		}
		check(string(s))
	}
}

// transfer is the event of a small file that was uploaded.
var transfer = event.Event(event.Transfer{
	Connection: &event.Connection{
		ID: "0123456789abcdef", Source: "192.0.2.1:54321", User: "ada", Account: "team/ada", Methods: []string{"PublicKey"},
		Keys: []string{"SHA256:0123456789012345678901234567890123456789012"},
	},
	File:   event.File{Path: "/outbox/2026/ä.csv", Direction: "upload", BytesWritten: 4096, Duration: time.Millisecond},
	Result: event.OK, Created: true,
})

// TestLinesAllocateNothing: a line takes no memory, except for bytes that are not UTF-8.
func TestLinesAllocateNothing(t *testing.T) {
	l := New(io.Discard, func() (string, string) { return "files", "public" })
	if n := testing.AllocsPerRun(100, func() { l.Emit(transfer) }); n != 0 {
		t.Errorf("a line allocates %v times", n)
	}
}

func BenchmarkLine(b *testing.B) {
	l := New(io.Discard, func() (string, string) { return "files", "public" })
	b.ReportAllocs()
	for b.Loop() {
		l.Emit(transfer)
	}
}
