package auth

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
)

// TestClaim: of all concurrent claims of one code, exactly one is first.
func TestClaim(t *testing.T) {
	volume, k := t.TempDir(), totp.Generate()
	for step := range int64(20) {
		var first atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				ok, err := claim(volume, "ada", k, step)
				if err != nil {
					t.Error(err)
				}
				if ok {
					first.Add(1)
				}
			})
		}
		all.Wait()
		if n := first.Load(); n != 1 {
			t.Fatalf("step %d: %d were the first", step, n)
		}
	}
	for _, other := range []struct {
		uid string
		key totp.Key
	}{{"bob", k}, {"ada", totp.Generate()}} {
		if ok, err := claim(volume, other.uid, other.key, 1); !ok || err != nil {
			t.Errorf("another user, or secret: %v, %v", ok, err)
		}
	}
}

// TestClaimSweeps: old claim files are removed, and no other file in the directory is.
func TestClaimSweeps(t *testing.T) {
	volume, k := t.TempDir(), totp.Generate()
	if _, err := claim(volume, "ada", k, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := claim(volume, "ada", k, 2); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(volume, codesDir)
	old := time.Now().Add(-2 * claimLife)
	kept := []string{"notes.txt", claimName("bob", k, 1), claimName("ada", k, 2)}
	for name, content := range map[string]string{kept[0]: "", kept[1]: "content"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{kept[0], kept[1], claimName("ada", k, 1)} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := claim(volume, "ada", k, 3); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(kept, claimName("ada", k, 3)) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, claimName("ada", k, 1))); !os.IsNotExist(err) {
		t.Errorf("an old file: %v", err)
	}
}

// TestClaimFollowsNothing: a symbolic link in place of the directory is not followed.
func TestClaimFollowsNothing(t *testing.T) {
	volume, elsewhere, k := t.TempDir(), t.TempDir(), totp.Generate()
	if err := os.Symlink(elsewhere, filepath.Join(volume, codesDir)); err != nil {
		t.Fatal(err)
	}
	if ok, err := claim(volume, "ada", k, 1); ok || err == nil {
		t.Errorf("through a link: %v, %v", ok, err)
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	if ok, err := claim(filepath.Join(volume, "none"), "ada", k, 1); ok || err == nil {
		t.Errorf("without a volume: %v, %v", ok, err)
	}
}

// TestClaimThatCannotBeMade: if the claim file cannot be created, the code is not accepted, and the error gives the reason.
func TestClaimThatCannotBeMade(t *testing.T) {
	volume := t.TempDir()
	err := errors.Join(os.Chmod(filepath.Dir(volume), 0o755), os.Chmod(volume, 0o755), os.Mkdir(filepath.Join(volume, codesDir), 0o555))
	if err != nil {
		t.Fatal(err)
	}
	const other = 65534
	var first, superuser bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The superuser may write everywhere, so this thread changes to another user for file access. The thread ends with the
		// goroutine.
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			_ = unix.Setfsuid(other)
			id, _ := unix.SetfsuidRetUid(-1) // which changes nothing
			superuser = id != other
		}
		first, err = claim(volume, "ada", totp.Generate(), 1)
	}()
	if <-done; superuser {
		const why = "files cannot be used as another user's"
		if os.Getenv("CI") == "true" {
			t.Fatal(why + ", and CI=true")
		}
		t.Skip(why)
	}
	if first || !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), codesDir) {
		t.Errorf("%v, %v", first, err)
	}
}
