package receipts

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

func signer(t testing.TB) *receipt.Signer {
	t.Helper()
	s, err := receipt.NewSigner(ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", ed25519.SeedSize))))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func envelope(t testing.TB, id, chain string, at time.Time) *receipt.Envelope {
	t.Helper()
	s := signer(t)
	raw, err := receipt.Encode(&receipt.Receipt{
		Version: 1, ID: id, Listener: "files/public", User: "team/ada", Path: "/a", SHA256: strings.Repeat("0", 64), Published: at,
		Chain: chain, Sequence: 1, Key: s.Fingerprint(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.Sign(raw)
}

func names(t testing.TB, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func open(t testing.TB) *Store {
	t.Helper()
	return Open(filepath.Join(t.TempDir(), "a", "b"))
}

func TestPut(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	s := open(t)
	at := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
	first, second := envelope(t, "one", "c1", at), envelope(t, "one", "c2", at)
	for range 2 { // a put that was interrupted is repeated
		if err := s.Put("team/ada", []*receipt.Envelope{first, second, envelope(t, "two", "c1", at)}); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(s.Dir(), "team", "ada")
	want := []string{"one.c2-1.json", "one.c2-1.json.sig", "one.json", "one.json.sig", "two.json", "two.json.sig"}
	if have := names(t, dir); !slices.Equal(have, want) {
		t.Errorf("%q", have)
	}
	for name, e := range map[string]*receipt.Envelope{"one.json": first, "one.c2-1.json": second} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(raw, e.Payload) {
			t.Errorf("%s: %s, %v", name, raw, err)
		}
		sig, err := os.ReadFile(filepath.Join(dir, name+".sig"))
		if err != nil || string(sig) != e.SSHSig {
			t.Errorf("%s: %s, %v", name, sig, err)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.ModTime().Equal(at) || info.Mode().Perm() != fileMode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != dirMode {
		t.Errorf("%v, %v", info, err)
	}
	if left := names(t, filepath.Join(s.Dir(), newDir)); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	for _, account := range []string{"", "team", "team/", "../x", "team/..", "team/a/b", ".new/x", "/x"} {
		if err := s.Put(account, []*receipt.Envelope{first}); err == nil {
			t.Errorf("account %q is accepted", account)
		}
	}
	if err := s.Put("team/ada", []*receipt.Envelope{{Payload: []byte(`{"id":"../../x"}` + "\n")}}); err == nil {
		t.Error("something that is not a receipt is accepted")
	}
}

func TestSurplus(t *testing.T) {
	now := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		ages  []int // days
		count int
		want  string
	}{
		"none":            {nil, 3, ""},
		"few and young":   {[]int{1, 2, 10}, 3, ""},
		"old":             {[]int{1, 20, 11, 10}, 9, "1 2"},
		"many":            {[]int{1, 3, 2, 4}, 2, "3 1"},
		"many and old":    {[]int{30, 1, 20, 2, 3}, 2, "0 2 4"},
		"of the future":   {[]int{-400, 11}, 3, "1"},
		"of the same age": {[]int{1, 1, 1}, 1, "0 1"},
	} {
		var have []kept
		for i, days := range tc.ages {
			have = append(have, kept{strconv.Itoa(i), now.Add(-time.Duration(days) * 24 * time.Hour)})
		}
		var gone []string
		for _, k := range surplus(have, now, tc.count, 10*24*time.Hour) {
			gone = append(gone, k.name)
		}
		if strings.Join(gone, " ") != tc.want {
			t.Errorf("%s: %q, want %q", name, gone, tc.want)
		}
	}
}

// TestTrim: old receipts are removed, and nothing else in the directories.
func TestTrim(t *testing.T) {
	s := open(t)
	now := time.Now()
	for _, user := range []string{"team/ada", "team/bob", "zoo/eve"} {
		if err := s.Put(user, []*receipt.Envelope{envelope(t, "old", "c", now.Add(-MaxAge-time.Hour)), envelope(t, "new", "c", now.Add(-MaxAge+time.Hour))}); err != nil {
			t.Fatal(err)
		}
	}
	ada, bob := filepath.Join(s.Dir(), "team", "ada"), filepath.Join(s.Dir(), "team", "bob")
	for _, name := range []string{"other", "half.json.sig"} { // the second: a receipt is being put
		if err := os.WriteFile(filepath.Join(ada, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(ada, "other"), now, now.Add(-2*MaxAge)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir(), newDir, "half"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.TrimAll(now, func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	if have := names(t, ada); !slices.Equal(have, []string{"half.json.sig", "new.json", "new.json.sig", "other"}) {
		t.Errorf("%q", have)
	}
	if have := names(t, bob); !slices.Equal(have, []string{"new.json", "new.json.sig"}) {
		t.Errorf("%q", have)
	}
	if have := names(t, filepath.Join(s.Dir(), "zoo", "eve")); !slices.Equal(have, []string{"new.json", "new.json.sig"}) {
		t.Errorf("in another namespace: %q", have)
	}
	if have := names(t, filepath.Join(s.Dir(), newDir)); !slices.Equal(have, []string{"half"}) {
		t.Errorf("being written: %q", have)
	}
	if err := s.TrimAll(now.Add(2*time.Hour), func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	if have := names(t, ada); !slices.Equal(have, []string{"other"}) {
		t.Errorf("%q", have)
	}
	if have := names(t, filepath.Join(s.Dir(), newDir)); len(have) > 0 {
		t.Errorf("%q", have)
	}
	if err := Open(filepath.Join(t.TempDir(), "none")).TrimAll(now, func() bool { return true }); err != nil {
		t.Error(err)
	}
}

// TestTrimFails: a failure for thousands of users is one short error, and does not keep others' old receipts from being
// removed.
func TestTrimFails(t *testing.T) {
	s := open(t)
	now := time.Now()
	if err := s.Put("team/zoe", []*receipt.Envelope{envelope(t, "old", "c", now.Add(-MaxAge-time.Hour))}); err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		if err := os.WriteFile(filepath.Join(s.Dir(), "team", fmt.Sprint("u", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := s.TrimAll(now, func() bool { return true })
	if !errors.Is(err, unix.ENOTDIR) || len(err.Error()) > 500 || !strings.Contains(err.Error(), "2999 other errors") {
		t.Errorf("%.1000v", err)
	}
	if have := names(t, filepath.Join(s.Dir(), "team", "zoe")); len(have) > 0 {
		t.Errorf("%q", have)
	}
}

func TestPlace(t *testing.T) {
	l := &config.Listener{Namespace: "files", Name: "public", Volumes: []config.Volume{{Name: "a", Path: "/a"}, {Name: "b", Path: "/b"}}}
	for volume, want := range map[string]string{"": "/a", "b": "/b"} {
		l.Events.Volume = volume
		if v, dir := Place(l, "team/ada"); v.Path != want || dir != ".sftpd-events/files/.receipts/public/team/ada" {
			t.Errorf("%q: %s, %s", volume, v.Path, dir)
		}
	}
}

// TestReach: a volume that hangs costs a second and one goroutine, and is used again when it answers.
func TestReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		hang := make(chan struct{})
		r := Reach{stat: func(dir string) error {
			calls.Add(1)
			switch dir {
			case "hangs":
				<-hang
			case "none":
				return fs.ErrNotExist
			}
			return nil
		}}
		began := time.Now()
		if !r.Answers("/") || r.Answers("none") || time.Since(began) > 0 {
			t.Error("volumes that answer")
		}
		for range 10 {
			if r.Answers("hangs") {
				t.Error("a volume that hangs answers")
			}
		}
		if d := time.Since(began); d != time.Second || calls.Load() != 3 {
			t.Errorf("%s, %d calls", d, calls.Load())
		}
		close(hang)
		synctest.Wait()
		if !r.Answers("hangs") {
			t.Error("it does not answer again")
		}
	})
}
