package interop

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// entry is a file of a tree to be created. A name that ends in a slash is a directory.
type entry struct {
	name, data string
	mode       fs.FileMode
	days       int    // its age; 0 is new
	link       string // the target, of a symbolic link
	root       bool   // belongs to root, not to the tenant
}

// serverTree is the server's content when the scenario begins. The root directory belongs to root, as sshd requires.
var serverTree = []entry{
	{name: "tree/", mode: 0o755},
	{name: "tree/file", data: "0123456789", mode: 0o644},
	{name: "tree/empty-file", mode: 0o644},
	{name: "tree/locked", data: "locked\n", mode: 0o400, days: 500},
	{name: "tree/readonly", data: "read only\n", mode: 0o444, root: true},
	{name: "tree/unreadable", data: "unreadable\n", mode: 0o200},
	{name: "tree/noaccess/", mode: 0o700, root: true},
	{name: "tree/noaccess/x", data: "x", mode: 0o644},
	{name: "tree/sub/", mode: 0o755},
	{name: "tree/sub/a.txt", data: "a", mode: 0o644},
	{name: "tree/sub/b.txt", data: strings.Repeat("b", 2048), mode: 0o600},
	{name: "tree/sub/long.txt", data: strings.Repeat("c", 300<<10), mode: 0o755},
	{name: "tree/dated/", mode: 0o755},
	{name: "tree/dated/old", data: "old", mode: 0o640, days: 4000},
	{name: "tree/dated/older", data: "older", mode: 0o640, days: 5000},
	{name: "tree/dated/oldest", data: "oldest", mode: 0o640, days: 6000},
	{name: "tree/single/", mode: 0o755},
	{name: "tree/single/one", data: "1", mode: 0o644},
	{name: "tree/empty/", mode: 0o755},
	{name: "tree/deep/a/b/c/d/e/f/g/h/", mode: 0o755},
	{name: "tree/tree/", mode: 0o755},
	{name: "tree/tree/locked", data: "locked", mode: 0o600, days: 700},
	{name: "tree/tree/nested/", mode: 0o750, days: 800},
	{name: "tree/tree/nested/two", data: "2", mode: 0o644, days: 900},
	{name: "tree/tree/link", link: "locked"},
	{name: "tree/names/with space", data: "s", mode: 0o644},
	{name: "tree/names/naïve ☃", data: "u", mode: 0o644},
	{name: "tree/names/日本語", data: "j", mode: 0o644},
	{name: "tree/names/-dash", data: "d", mode: 0o644},
	{name: "tree/names/quo\"te's", data: "q", mode: 0o644},
	{name: "tree/latin1/na\xefve", data: "l", mode: 0o644},
	{name: "tree/latin1/new\nline", data: "n", mode: 0o644},
	{name: "tree/target", data: "target", mode: 0o644},
	{name: "tree/linktarget", link: "target"},
	{name: "tree/linkfile", link: "file"},
	{name: "tree/abslinkfile", link: "/tree/file"},
	{name: "tree/dirlink", link: "sub"},
	{name: "tree/abslink", link: "/tree/sub"},
	{name: "tree/outlink", link: "../../../../../../usr"},
	{name: "tree/outfile", link: "/etc/hostname"},
	{name: "tree/dangling", link: "gone"},
	{name: "tree/dangling2", link: "gone2"},
	{name: "tree/loop", link: "loop"},
	{name: "tree/fifo", mode: fs.ModeNamedPipe | 0o644},
	{name: "foreign/", mode: 0o755, root: true},
	{name: "foreign/public", data: "public\n", mode: 0o644, root: true},
	{name: "foreign/private", data: "private\n", mode: 0o600, root: true},
}

// clientTree is the content of the client's working directory.
var clientTree = []entry{
	{name: "up/one", data: "one\n", mode: 0o644},
	{name: "up/empty", mode: 0o644},
	{name: "up/dated", data: "dated\n", mode: 0o640, days: 3000},
	{name: "up/locked", data: "locked\n", mode: 0o400},
	{name: "up/script", data: "#!/bin/sh\n", mode: 0o755},
	{name: "up/large", data: pattern(20<<20 + 1), mode: 0o644},
	{name: "up/half", data: pattern(300 << 10), mode: 0o644},
	{name: "up/whole", data: pattern(700 << 10), mode: 0o644},
	{name: "up/a.txt", data: "a", mode: 0o644},
	{name: "up/b.txt", data: "b", mode: 0o600},
	{name: "up/tree/", mode: 0o755},
	{name: "up/tree/locked", data: "locked", mode: 0o600, days: 700},
	{name: "up/tree/link", link: "locked"},
	{name: "up/tree/nested/", mode: 0o750, days: 800},
	{name: "up/tree/nested/two", data: "2", mode: 0o644, days: 900},
	{name: "down/names/", mode: 0o755},
	{name: "down/half", data: "01234", mode: 0o644},
	{name: "down/half2", data: "01234567", mode: 0o644},
	{name: "down/longer", data: "0123456789abcdef", mode: 0o644},
	{name: "down/begun", data: "other", mode: 0o644},
}

// pattern returns n bytes that do not repeat at the size of a request.
func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d\n", i)
	}
	return b.String()[:n]
}

// plant creates a tree in an empty directory. Ages count from a day that both servers have in common.
func plant(t *testing.T, root string, today time.Time, entries []entry) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range entries {
		file := filepath.Join(root, e.name)
		must(os.MkdirAll(filepath.Dir(file), 0o755))
		switch {
		case e.link != "":
			must(os.Symlink(e.link, file))
		case strings.HasSuffix(e.name, "/"):
			must(os.MkdirAll(file, 0o755))
		case e.mode&fs.ModeNamedPipe != 0:
			must(syscall.Mkfifo(file, 0o600))
		default:
			must(os.WriteFile(file, []byte(e.data), 0o600))
		}
	}
	// Owners, modes and times are set last, the deepest first, because creating something in a directory changes its time.
	must(filepath.WalkDir(root, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || file == root {
			return err
		}
		return os.Lchown(file, tenant, tenant)
	}))
	for _, e := range slices.Backward(entries) {
		file := filepath.Join(root, e.name)
		if e.root {
			must(os.Lchown(file, 0, 0))
		}
		if e.link != "" {
			continue
		}
		must(os.Chmod(file, e.mode.Perm()))
		if e.days > 0 {
			then := today.AddDate(0, 0, -e.days)
			must(os.Chtimes(file, then, then))
		}
	}
}

// inventory describes each file of a tree in a line: type and mode, owner, links, size, time if it is older than since, and
// content.
func inventory(t *testing.T, root string, since time.Time) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		sys, _ := st.Sys().(*syscall.Stat_t)
		words := []string{st.Mode().String(), fmt.Sprintf("%d:%d", sys.Uid, sys.Gid)}
		if st.ModTime().Before(since) {
			words = append(words, st.ModTime().UTC().Format(time.RFC3339))
		}
		switch {
		case st.Mode().IsRegular():
			words = append(words, fmt.Sprintf("links=%d size=%d sha256=%s", sys.Nlink, st.Size(), fileSum(t, file)))
		case st.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			words = append(words, "-> "+target)
		}
		found[name] = strings.Join(words, " ")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
