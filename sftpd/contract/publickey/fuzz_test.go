package publickey

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func fuzzLines(f *testing.F) []string {
	key, _ := ed(f)
	lines := []string{
		line(key), `from="192.0.2.0/24,::1" ` + line(key) + " comment", line(rsaOf(f, 2048)), "ssh-rsa AAAA",
		", " + line(key), `restrict,from="::ffff:192.0.2.1" ` + line(key), `from="fe80::1%eth0",from=10.0.0.0/8 ` + line(key), `from="a\"b" ` + line(key),
		"restrict " + strings.TrimPrefix(line(key), "ssh-ed25519 "),
	}
	for _, k := range skKeys(f) {
		lines = append(lines, line(k))
	}
	return lines
}

// FuzzParseLine: an accepted line has a key that may log in, none of its restrictions is lost, and its canonical form parses to
// the same key.
func FuzzParseLine(f *testing.F) {
	for _, l := range fuzzLines(f) {
		f.Add(l)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseLine(text)
		if err != nil {
			return
		}
		if err := Check(k.PublicKey); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		first, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(text), "\t", " "), " ")
		if plain := first == k.Type() || strings.Trim(first, ",") == ""; plain != (len(k.From) == 0) {
			t.Errorf("%q may be used from %v", text, k.From)
		}
		for _, p := range k.From {
			if !p.IsValid() || p != p.Masked() {
				t.Errorf("%q: network %v", text, p)
			}
		}
		again, err := ParseLine(k.Line())
		if err != nil || again.Fingerprint() != k.Fingerprint() {
			t.Errorf("%q: %v, %v", text, again, err)
		}
	})
}

// FuzzParseFile: a file is accepted or refused as a whole, and yields a key for each line that is neither empty nor a comment.
func FuzzParseFile(f *testing.F) {
	lines := fuzzLines(f)
	for _, l := range lines {
		f.Add([]byte("# comment\n\n" + l + "\r\n" + lines[0]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseFile(data)
		if err != nil {
			if keys != nil || !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("%d keys with %v", len(keys), err)
			}
			return
		}
		want := 0
		for l := range bytes.SplitSeq(data, []byte("\n")) {
			if l = bytes.TrimSpace(l); len(l) > 0 && l[0] != '#' {
				want++
			}
		}
		if len(keys) != want {
			t.Errorf("%d keys of %d lines", len(keys), want)
		}
	})
}

func parseFile(data []byte) ([]Key, error) {
	keys, _, err := ParseFirst(data, math.MaxInt)
	return keys, err
}
