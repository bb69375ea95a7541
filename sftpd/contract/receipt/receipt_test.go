package receipt_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

var published = time.Date(2026, 11, 30, 10, 0, 0, 123456789, time.UTC)

// signer returns a signer with a key of its own for each seed.
func signer(t testing.TB, seed byte) *receipt.Signer {
	t.Helper()
	s, err := receipt.NewSigner(ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed)), ed25519.SeedSize))))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func example(s *receipt.Signer) *receipt.Receipt {
	return &receipt.Receipt{
		Version: 1, ID: "J5KQ2Z", Listener: "files/public", User: "team-a/acme", Path: "/in/<ä>.csv", Size: 12, SHA256: strings.Repeat("0a", 32),
		Published: published, Connection: "0123456789abcdef", Source: "192.0.2.1:50000", Chain: "c1", Sequence: 1, Key: s.Fingerprint(),
	}
}

func encode(t testing.TB, r *receipt.Receipt) []byte {
	t.Helper()
	raw, err := receipt.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestEncode: the format. Receipts are kept for years, so it cannot change.
func TestEncode(t *testing.T) {
	want := `{"version":1,"id":"J5KQ2Z","listener":"files/public","user":"team-a/acme","path":"/in/<ä>.csv","size":12,` +
		`"sha256":"` + strings.Repeat("0a", 32) + `","published":"2026-11-30T10:00:00.123456789Z","connection":"0123456789abcdef",` +
		`"source":"192.0.2.1:50000","chain":"c1","sequence":1,"key":"` + signer(t, 0).Fingerprint() + `"}` + "\n"
	if raw := encode(t, example(signer(t, 0))); string(raw) != want {
		t.Errorf("have %swant %s", raw, want)
	}
}

func TestOf(t *testing.T) {
	size := int64(5)
	e := &events.Event{ID: "x", Type: events.FilePublished, Time: published, Data: events.Data{
		Listener: "files/public", User: "team-a/acme", Size: &size, SHA256: strings.Repeat("ff", 32), Connection: "c", SourceAddress: "s",
	}}
	e.Data.SetPath("/a\xff")
	r, err := receipt.Of(e)
	if err != nil {
		t.Fatal(err)
	}
	r.Chain, r.Sequence, r.Key = "c1", 1, signer(t, 0).Fingerprint()
	back, err := receipt.Decode(encode(t, r))
	if err != nil || *back != *r {
		t.Fatalf("%+v, %v", back, err)
	}
	if p, err := back.FullPath(); p != "/a\xff" || err != nil {
		t.Errorf("path %q, %v", p, err)
	}
	e.Data.SHA256 = ""
	if _, err := receipt.Of(e); err == nil {
		t.Error("a receipt without a checksum")
	}
	e.Data.SHA256, e.Type = strings.Repeat("ff", 32), events.FileRenamed
	if _, err := receipt.Of(e); err == nil {
		t.Error("a receipt for a rename")
	}
}

// TestLongPath: the longest path has a receipt, and an envelope that can be read.
func TestLongPath(t *testing.T) {
	for _, path := range []string{strings.Repeat("ä", events.MaxPath/2), strings.Repeat("\xff", events.MaxPath), strings.Repeat(`"`, events.MaxPath/3)} {
		var d events.Data
		d.SetPath(path)
		r := example(signer(t, 0))
		r.Path, r.PathBase64, r.Sequence, r.Previous = d.Path, d.PathBase64, 1<<63, strings.Repeat("0", 64)
		line, err := signer(t, 0).Sign(encode(t, r)).Encode()
		if err != nil {
			t.Fatal(err)
		}
		v, err := signersOf(signer(t, 0)).VerifyEnvelope(line)
		if err != nil {
			t.Fatal(err)
		}
		if have, err := v.FullPath(); have != path || err != nil {
			t.Errorf("another path: %v", err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(*receipt.Receipt){
		"version":           func(r *receipt.Receipt) { r.Version = 2 },
		"no id":             func(r *receipt.Receipt) { r.ID = "" },
		"id as a path":      func(r *receipt.Receipt) { r.ID = "../x" },
		"listener":          func(r *receipt.Receipt) { r.Listener = "public" },
		"user":              func(r *receipt.Receipt) { r.User = "a/b/c" },
		"no path":           func(r *receipt.Receipt) { r.Path = "" },
		"two paths":         func(r *receipt.Receipt) { r.PathBase64 = base64.StdEncoding.EncodeToString([]byte("x")) },
		"path in no base64": func(r *receipt.Receipt) { r.Path, r.PathBase64 = "", "?" },
		"path":              func(r *receipt.Receipt) { r.Path = strings.Repeat("x", events.MaxPath+1) },
		"size":              func(r *receipt.Receipt) { r.Size = -1 },
		"sha256":            func(r *receipt.Receipt) { r.SHA256 = strings.Repeat("0A", 32) },
		"no time":           func(r *receipt.Receipt) { r.Published = time.Time{} },
		"connection":        func(r *receipt.Receipt) { r.Connection = strings.Repeat("x", 65) },
		"chain":             func(r *receipt.Receipt) { r.Chain = "a b" },
		"sequence":          func(r *receipt.Receipt) { r.Sequence = 0 },
		"first, linked":     func(r *receipt.Receipt) { r.Previous = strings.Repeat("0", 64) },
		"second, unlinked":  func(r *receipt.Receipt) { r.Sequence = 2 },
		"key":               func(r *receipt.Receipt) { r.Key = "MD5:00" },
	} {
		r := example(signer(t, 0))
		change(r)
		if _, err := receipt.Encode(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	raw := string(encode(t, example(signer(t, 0))))
	for name, text := range map[string]string{
		"empty": "", "no newline": strings.TrimSpace(raw), "two lines": raw + raw, "a line before": "\n" + raw, "something else": "{}\n",
		"large": strings.Repeat(" ", receipt.MaxSize) + raw, "number": strings.Replace(raw, `"size":12`, `"size":1e400`, 1),
	} {
		if _, err := receipt.Decode([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// A later release may add a field.
	if _, err := receipt.Decode([]byte(strings.Replace(raw, `{`, `{"more":{"a":1},`, 1))); err != nil {
		t.Error(err)
	}
}
