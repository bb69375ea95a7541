package identity

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// repository creates a git repository with one commit, and changes to it.
func repository(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("SOURCE_DATE_EPOCH", "")
	t.Setenv("GIT_COMMITTER_DATE", "2026-01-02T03:04:05+05:00")
	if err := os.WriteFile("file", []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"init --quiet", "add file", "-c user.name=n -c user.email=e@example.org -c commit.gpgsign=false commit --quiet --message=m",
	} {
		if out, err := exec.Command("git", strings.Fields(command)...).CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v: %s", command, err, out)
		}
	}
}

func TestOf(t *testing.T) {
	repository(t)
	r, err := Of("v1.2.3-rc.1")
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 1, 1, 22, 4, 5, 0, time.UTC); !r.Time.Equal(want) || r.Dirty || len(r.Commit) != 40 || r.Number() != "1.2.3-rc.1" {
		t.Errorf("%+v, want the time %s and a clean tree", r, want)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	if err := os.WriteFile("file", []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err = Of("v1.2.3"); err != nil || r.Time.Unix() != 1_700_000_000 || !r.Dirty {
		t.Errorf("%+v, %v: want the time of SOURCE_DATE_EPOCH, and a tree that differs", r, err)
	}
}

func TestOfRefuses(t *testing.T) {
	repository(t)
	for _, version := range []string{"", "1.2.3", "v1.2", "v1.2.3+build", "v01.2.3", "v1.2.3-", "v1.2.3 x"} {
		if _, err := Of(version); err == nil {
			t.Errorf("version %q: no error", version)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := Of("v1.2.3"); err == nil {
		t.Error("SOURCE_DATE_EPOCH that is not a number: no error")
	}
}
