package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
)

func write(t *testing.T, e Entry) (line string, fields map[string]any) {
	t.Helper()
	var b bytes.Buffer
	New(&b, func() (string, string) { return "files", "public" }).Write(e)
	line = b.String()
	if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		t.Fatalf("not one line: %q", line)
	}
	if err := json.Unmarshal(b.Bytes(), &fields); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return line, fields
}

func TestEntry(t *testing.T) {
	_, got := write(t, Entry{
		Event: Transfer, Result: OK, Connection: "c1", Source: "192.0.2.1:5", User: "ada", Account: "team/ada",
		Methods: []string{"PublicKey", "Password"}, KeyFingerprint: "SHA256:x", Direction: "upload", Path: "/a",
		BytesWritten: 7, Duration: 1500 * time.Millisecond,
	})
	at, err := time.Parse(time.RFC3339Nano, got["time"].(string))
	if err != nil || at.Location() != time.UTC || time.Since(at) > time.Minute {
		t.Errorf("time %v", got["time"])
	}
	delete(got, "time")
	want := map[string]any{
		"schema": 1.0, "event": "transfer", "result": "ok", "namespace": "files", "listener": "public", "connection": "c1",
		"source": "192.0.2.1:5", "user": "ada", "account": "team/ada", "methods": []any{"PublicKey", "Password"},
		"key_fingerprint": "SHA256:x", "direction": "upload", "path": "/a", "bytes_read": 0.0, "bytes_written": 7.0, "duration_ms": 1500.0,
	}
	have, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	expected, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, expected) {
		t.Errorf("have %s\nwant %s", have, expected)
	}
}

// TestHostileNames: any name can be read back exactly, two names never look alike, and no character in a line can control a
// terminal.
func TestHostileNames(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"/plain", "/a b", "/a\nb", "/a\r\nb", "/a\tb", "/a\x00b", "/a\x1b[31mb", "/a\x7fb", "/a\u0085b", "/a\u009b31mb",
		"/a\u202eb", "/a\u2028b", "/a\u200bb", "/a\ufeffb", "/a\"b", `/a\b`, `/a\nb`, "/ä€𝄞", "/a\U000e0001b",
		"/a\xffb", "/a\xfeb", "/a\ufffdb", "/a\xc3", "/a\xed\xa0\x80b", "/<&>",
	} {
		line, got := write(t, Entry{Event: Operation, Path: name, User: name, Target: name})
		for _, r := range strings.TrimSuffix(line, "\n") {
			if !unicode.IsPrint(r) {
				t.Errorf("%q: the line has %U", name, r)
			}
		}
		delete(got, "time")
		key, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[string(key)]; twice {
			t.Errorf("%q and %q look alike", name, other)
		}
		seen[string(key)] = name
		for _, field := range []string{"path", "user", "target"} {
			back := got[field].(string)
			if raw, ok := got[field+"_base64"].(string); ok {
				exact, err := base64.StdEncoding.DecodeString(raw)
				if err != nil {
					t.Fatal(err)
				}
				back = string(exact)
			}
			if back != name {
				t.Errorf("%s %q reads back as %q", field, name, back)
			}
		}
	}
}

func TestLongNames(t *testing.T) {
	for _, name := range []string{strings.Repeat("x", 100_000), strings.Repeat("€", 50_000), strings.Repeat("\xff", 100_000), strings.Repeat("\x7f", 100_000), strings.Repeat("\U000e0001", 50_000)} {
		line, got := write(t, Entry{
			Event: LoginRefused, User: name, Path: name, Target: name, Reason: name, Detail: name, ClientVersion: name, CertificateKeyID: name,
		})
		if len(line) >= 16<<10 {
			t.Errorf("line of %d bytes", len(line))
		}
		if got["user_length"] != float64(len(name)) || got["path_length"] != float64(len(name)) {
			t.Errorf("lengths %v, %v", got["user_length"], got["path_length"])
		}
		if strings.HasPrefix(name, "€") && strings.Contains(line, "_base64") {
			t.Error("cut within a character")
		}
	}
}

func TestNilLog(*testing.T) {
	var l *Log
	l.Write(Entry{Event: Login})
}
