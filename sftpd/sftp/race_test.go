package sftp

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestRaceOfRequests runs the requests that read, hash, copy, list and measure through a directory that another process swaps
// for a link to the outside. No answer may contain anything from there; sftpd/vfs has the races of all operations.
func TestRaceOfRequests(t *testing.T) {
	const secret = "a secret outside"
	base := t.TempDir()
	for name, content := range map[string]string{
		"jail/swap/file": "inside", "jail/swap/name-inside": "", "outside/file": secret, "outside/name-outside": "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	jail, dir, link := filepath.Join(base, "jail"), filepath.Join(base, "jail/swap"), filepath.Join(base, "jail/link")
	if err := os.Symlink("../outside", link); err != nil {
		t.Fatal(err)
	}
	tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: jail, Access: vfs.ReadWrite}})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	c, _, _ := dialRaw(t, tr, Options{})
	rec := &recorded{Conn: c.conn}
	c.conn = rec
	before := describe(t, filepath.Join(base, "outside"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			}
		}
	})
	ended := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer ended()
	hash := sha256.Sum256([]byte(secret))
	bad := []string{secret, string(hash[:]), "name-outside"}
	tries, inside, escapes := 0, 0, 0
	for end := time.Now().Add(time.Minute); (tries < 3000 || inside == 0) && time.Now().Before(end); {
		tries += 7
		c.call(typeExtended, "check-file-name", "/swap/file", "sha256", uint64(0), uint64(0), 0)
		c.call(typeExtended, "statvfs@openssh.com", "/swap")
		c.call(typeStat, "/swap/file")
		c.call(typeReadlink, "/swap/file")
		if typ, f := c.call(typeOpendir, "/swap"); typ == typeHandle {
			d := f.string()
			c.call(typeReaddir, d)
			c.call(typeClose, d)
		}
		if typ, f := c.call(typeOpen, "/swap/file", flagRead, 0); typ == typeHandle {
			h := f.string()
			copied := c.open("/copy", flagRead|flagWrite|flagCreate|flagTrunc)
			c.call(typeExtended, "copy-data", h, uint64(0), uint64(0), copied, uint64(0))
			c.call(typeExtended, "check-file-handle", h, "sha256", uint64(0), uint64(0), 0)
			if c.content(copied, 0, 100) == "inside" {
				inside++
			}
			c.call(typeClose, copied)
			c.call(typeClose, h)
		}
		if c.status(typeExtended, "hardlink@openssh.com", "/swap/file", "/stolen") == StatusOK {
			h := c.open("/stolen", flagRead)
			c.content(h, 0, 100)
			c.call(typeClose, h)
			c.call(typeRemove, "/stolen")
		}
		for _, b := range bad {
			if strings.Contains(rec.got.String(), b) {
				escapes++
				t.Errorf("an answer has %q", b)
			}
		}
		rec.got.Reset()
		if escapes > 0 {
			break
		}
	}
	ended()
	if now := describe(t, filepath.Join(base, "outside")); now != before {
		escapes++
		t.Errorf("something outside changed:\n%s%s", before, now)
	}
	if inside == 0 {
		t.Error("no try met the inside")
	}
	t.Logf("RACE requests: %d tries, %d of them inside, %d escapes", tries, inside, escapes)
}
