package receipts

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// TestReceiptsReachTheDisk: what Put has written survives a crash of the node: the files, their names, and the directories above.
func TestReceiptsReachTheDisk(t *testing.T) {
	defer func(was func(*os.File) error) { fsync = was }(fsync)
	var synced []string
	var answer error
	fsync = func(f *os.File) error {
		synced = append(synced, f.Name())
		return answer
	}
	volume := t.TempDir()
	s := Open(filepath.Join(volume, "a", "b"))
	put := func(id string) error {
		synced = nil
		return s.Put("team/ada", []*receipt.Envelope{envelope(t, id, "c", time.Now())})
	}
	if err := put("one"); err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, name := range synced {
		if filepath.Dir(name) == filepath.Join(s.Dir(), newDir) {
			files++
		}
	}
	user := filepath.Join(s.Dir(), "team", "ada")
	if files != 2 || synced[len(synced)-1] != user {
		t.Errorf("%d files, and last %s", files, synced[len(synced)-1])
	}
	for _, dir := range []string{volume, filepath.Join(volume, "a"), s.Dir(), filepath.Join(s.Dir(), "team")} {
		if !slices.Contains(synced, dir) {
			t.Errorf("the names in %s: %q", dir, synced)
		}
	}
	for i, errno := range []unix.Errno{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP} { // the volume has no disk to write to
		answer = errno
		if err := put(strings.Repeat("x", i+1)); err != nil {
			t.Errorf("%v: %v", errno, err)
		}
	}
	fsync = func(f *os.File) error {
		if info, err := f.Stat(); err != nil || info.IsDir() {
			return unix.EIO
		}
		return nil
	}
	if err := put("nameless"); !errors.Is(err, unix.EIO) {
		t.Errorf("an error of a directory: %v", err)
	}
	fsync = func(*os.File) error { return answer }
	answer = unix.EIO
	if err := put("lost"); !errors.Is(err, unix.EIO) {
		t.Errorf("an error of the disk: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(user, "lost.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it can be seen: %v", err)
	}
}

// TestWhatCanNeverBePut: a receipt that no volume could take is distinguished from one whose volume is full.
func TestWhatCanNeverBePut(t *testing.T) {
	good := envelope(t, "one", "c", time.Now())
	for account, want := range map[string]bool{"team/ada": true, "team": false, "../ada": false, "team/.new": false, "": false} {
		err := Check(account, good)
		if (err == nil) != want {
			t.Errorf("%q: %v", account, err)
		}
		if _, err := open(t).userDir(account); (err == nil) != want {
			t.Errorf("%q: %v", account, err)
		}
	}
	if err := Check("team/ada", &receipt.Envelope{Payload: []byte("{}\n")}); err == nil {
		t.Error("something else is a receipt")
	}
}

// TestModes: other pods may run as other users of the volume's group, and no one else has access.
func TestModes(t *testing.T) {
	defer unix.Umask(unix.Umask(0))
	s := open(t)
	if err := s.Put("team/ada", []*receipt.Envelope{envelope(t, "one", "c", time.Now())}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"team": 0o770, "team/ada": 0o770, "team/ada/one.json": 0o660, "team/ada/one.json.sig": 0o660} {
		if info, err := os.Lstat(filepath.Join(s.Dir(), name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %o", name, info, err, want)
		}
	}
}

// TestTrimOfAUser: the oldest receipts go first, those of the same age by name; a signature that has no receipt goes an hour after
// it was written; and a directory that is not there, or cannot be read, has nothing to remove.
func TestTrimOfAUser(t *testing.T) {
	now := time.Now()
	same := []kept{{"b", now}, {"c", now}, {"a", now}, {"d", now.Add(-time.Hour)}}
	var gone []string
	for _, k := range surplus(same, now, 2, MaxAge) {
		gone = append(gone, k.name)
	}
	if got := strings.Join(gone, " "); got != "d a" {
		t.Errorf("removed are %s", got)
	}
	s := open(t)
	if err := s.Trim("team/ada", now); err != nil {
		t.Errorf("without a directory: %v", err)
	}
	if err := s.Put("team/ada", []*receipt.Envelope{envelope(t, "one", "c", now)}); err != nil {
		t.Fatal(err)
	}
	ada := filepath.Join(s.Dir(), "team", "ada")
	if err := errors.Join(os.WriteFile(filepath.Join(ada, "half.json.sig"), nil, 0o600), os.Mkdir(filepath.Join(ada, "dir.json"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]bool{time.Hour - time.Minute: true, time.Minute: true} {
		if err := s.Trim("team/ada", now.Add(after)); err != nil {
			t.Error(err)
		}
		if has := slices.Contains(names(t, ada), "half.json.sig"); has != want {
			t.Errorf("after %s the signature is there: %v", after, has)
		}
	}
	if err := s.Trim("team/ada", time.Now().Add(time.Hour+time.Minute)); err != nil {
		t.Error(err)
	}
	if have := names(t, ada); !slices.Equal(have, []string{"dir.json", "one.json", "one.json.sig"}) {
		t.Errorf("%q", have)
	}
	if err := s.Trim("team", now); err == nil {
		t.Error("an invalid account")
	}
	file := filepath.Join(s.Dir(), "team", "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Trim("team/file", now); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
}
