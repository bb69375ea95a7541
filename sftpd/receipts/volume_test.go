package receipts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// TestNamesThatAreTaken: where something else has a receipt's name, or the place of one of its files, Put fails, so that the receipt
// stays in its log, and what is there stays.
func TestNamesThatAreTaken(t *testing.T) {
	for taken, want := range map[string]error{
		"team/ada/one.json":     unix.EISDIR,
		"team/ada/one.json.sig": unix.EISDIR,
	} {
		s := open(t)
		inside := filepath.Join(s.Dir(), taken, "inside")
		if err := os.MkdirAll(inside, 0o700); err != nil {
			t.Fatal(err)
		}
		err := s.Put("team/ada", []*receipt.Envelope{envelope(t, "one", "c", time.Now())})
		if !errors.Is(err, want) && !errors.Is(err, unix.EEXIST) {
			t.Errorf("%s: %v, want %v", taken, err, want)
		}
		if _, err := os.Stat(inside); err != nil {
			t.Errorf("%s: %v", taken, err)
		}
	}
	for _, taken := range []string{"", "team", "team/ada", newDir} {
		s := open(t)
		name := filepath.Join(s.Dir(), taken)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if err := s.Put("team/ada", []*receipt.Envelope{envelope(t, "one", "c", time.Now())}); !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("a file in place of %q: %v", taken, err)
		}
		if raw, err := os.ReadFile(name); err != nil || string(raw) != "x" {
			t.Errorf("a file in place of %q: %q, %v", taken, raw, err)
		}
	}
}

// TestAllOldReceiptsGo: all that are too old or too many go at once, each with its signature, and the newest stay.
func TestAllOldReceiptsGo(t *testing.T) {
	s, now := open(t), time.Now()
	var all []*receipt.Envelope
	for i := range 4 {
		all = append(all, envelope(t, fmt.Sprint("old", i), "c", now.Add(-MaxAge-time.Hour)), envelope(t, fmt.Sprint("new", i), "c", now))
	}
	if err := s.Put("team/ada", all); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.Dir(), "team", "ada")
	for i := range MaxCount { // their signatures are gone, as after a kill between the two
		name := filepath.Join(dir, fmt.Sprintf("many%04d.json", i))
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Chtimes(name, now, now.Add(-time.Duration(i+1)*time.Minute))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Trim("team/ada", now); err != nil {
		t.Fatal(err)
	}
	have := names(t, dir)
	if n := len(have); n != MaxCount+4 { // four of them have signatures
		t.Errorf("%d files are left", n)
	}
	for i := range 4 {
		for _, name := range []string{fmt.Sprint("old", i, ".json"), fmt.Sprint("old", i, ".json.sig"), fmt.Sprintf("many%04d.json", MaxCount-1-i)} {
			if slices.Contains(have, name) {
				t.Errorf("%s is left", name)
			}
		}
		for _, name := range []string{fmt.Sprint("new", i, ".json"), fmt.Sprint("new", i, ".json.sig"), fmt.Sprintf("many%04d.json", i)} {
			if !slices.Contains(have, name) {
				t.Errorf("%s is gone", name)
			}
		}
	}
}

// TestTrimEnds: a pod that is shutting down does not check all users first, and an error of one that it checked is reported.
func TestTrimEnds(t *testing.T) {
	s, now := open(t), time.Now()
	for _, user := range []string{"team/ada", "team/bob", "zoo/eve"} {
		if err := s.Put(user, []*receipt.Envelope{envelope(t, "old", "c", now.Add(-MaxAge-time.Hour))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.Dir(), "team", "aa"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	left := 2
	err := s.TrimAll(now, func() bool { left--; return left >= 0 })
	if !errors.Is(err, unix.ENOTDIR) || strings.Contains(err.Error(), "other errors") {
		t.Errorf("%v", err)
	}
	for user, want := range map[string]int{"team/ada": 0, "team/bob": 2, "zoo/eve": 2} {
		if have := names(t, filepath.Join(s.Dir(), user)); len(have) != want {
			t.Errorf("%s: %q", user, have)
		}
	}
	if err := s.TrimAll(now, func() bool { return true }); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("%v", err)
	}
	if have := names(t, filepath.Join(s.Dir(), "zoo", "eve")); len(have) != 0 {
		t.Errorf("after the error of another user: %q", have)
	}
}

// TestReachOfADirectory: without a test's replacement, a volume answers if its directory is there.
func TestReachOfADirectory(t *testing.T) {
	var r Reach
	dir := t.TempDir()
	if !r.Answers(dir) || r.Answers(filepath.Join(dir, "none")) || !r.Answers(dir) {
		t.Error("a directory does not answer, or one that is not there does")
	}
}
