package sftp

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// recorded keeps everything that a server sends.
type recorded struct {
	net.Conn
	got bytes.Buffer
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.got.Write(p[:n])
	return n, err
}

// several opens a tree of a home and one other mount, each with a file.
func several(t *testing.T, other vfs.Access, u vfs.Uploads) (c *raw, home, dir string) {
	t.Helper()
	home, dir = t.TempDir(), t.TempDir()
	for name, content := range map[string]string{filepath.Join(home, "mine"): "mine", filepath.Join(dir, "f"): "secret"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"d", "empty"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("f", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: home, Access: vfs.ReadWrite}, {Path: "/m", Volume: dir, Access: other}}, vfs.WithUploads(u))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	c, _, _ = dialRaw(t, tr, Options{})
	c.conn = &recorded{Conn: c.conn}
	return c, home, dir
}

// TestDropBoxIsNeverReadBack tries every route by which content of a WriteOnly directory could come back, including content
// that the client itself put there.
func TestDropBoxIsNeverReadBack(t *testing.T) {
	for _, u := range []vfs.Uploads{{}, {OnClose: true}} {
		c, home, _ := several(t, vfs.WriteOnly, u)
		own := c.open("/m/own", flagWrite|flagCreate)
		if got := c.status(typeWrite, own, uint64(0), "own secret"); got != StatusOK {
			t.Fatal(got)
		}
		to := c.open("/to", flagRead|flagWrite|flagCreate)
		both := c.open("/m/f", flagWrite|flagAppend)
		for what, got := range map[string]Status{
			"READ of a handle for writing":   c.status(typeRead, own, uint64(0), 100),
			"READ of a handle for appending": c.status(typeRead, both, uint64(0), 100),
			"OPEN to read":                   c.status(typeOpen, "/m/f", flagRead, 0),
			"OPEN to read and write":         c.status(typeOpen, "/m/f", flagRead|flagWrite, 0),
			"OPEN to read and append":        c.status(typeOpen, "/m/f", flagRead|flagAppend, 0),
			"OPEN without flags":             c.status(typeOpen, "/m/f", 0, 0),
			"OPEN to read, through a link":   c.status(typeOpen, "/m/l", flagRead, 0),
			"OPEN to read and create":        c.status(typeOpen, "/m/x", flagRead|flagWrite|flagCreate, 0),
			"copy-data to the home":          c.status(typeExtended, "copy-data", own, uint64(0), uint64(0), to, uint64(0)),
			"copy-data in it":                c.status(typeExtended, "copy-data", both, uint64(0), uint64(0), own, uint64(20)),
			"check-file-name":                c.status(typeExtended, "check-file-name", "/m/f", "sha256", uint64(0), uint64(0), 0),
			"check-file-handle":              c.status(typeExtended, "check-file-handle", both, "sha256", uint64(0), uint64(1), 0),
			"hardlink":                       c.status(typeExtended, "hardlink@openssh.com", "/m/f", "/m/g"),
			"hardlink into the home":         c.status(typeExtended, "hardlink@openssh.com", "/m/f", "/g"),
			"hardlink of the home's":         c.status(typeExtended, "hardlink@openssh.com", "/mine", "/m/g"),
			"SYMLINK in it":                  c.status(typeSymlink, "f", "/m/k"),
			"READLINK":                       c.status(typeReadlink, "/m/l"),
			"OPENDIR":                        c.status(typeOpendir, "/m"),
			"OPENDIR below":                  c.status(typeOpendir, "/m/d"),
			"REMOVE":                         c.status(typeRemove, "/m/f"),
			"RMDIR":                          c.status(typeRmdir, "/m/empty"),
		} {
			if got != StatusPermissionDenied {
				t.Errorf("%+v: %s: %s", u, what, got)
			}
		}
		for what, got := range map[string]Status{
			"RENAME into the home":         c.status(typeRename, "/m/f", "/f"),
			"posix-rename into the home":   c.status(typeExtended, "posix-rename@openssh.com", "/m/f", "/mine"),
			"RENAME of a directory":        c.status(typeRename, "/m/d", "/d"),
			"SYMLINK from the home":        c.status(typeSymlink, "/m/f", "/k"),
			"READDIR of a file":            c.status(typeReaddir, own),
			"RENAME of the home's into it": c.status(typeRename, "/mine", "/m/mine"),
		} {
			if got != StatusFailure {
				t.Errorf("%+v: %s: %s", u, what, got)
			}
		}
		c.status(typeSymlink, "m/f", "/relative")
		if got := c.status(typeOpen, "/relative", flagRead, 0); got != StatusNoSuchFile {
			t.Errorf("%+v: OPEN of a link to it: %s", u, got)
		}
		c.status(typeClose, own)
		if got := c.status(typeOpen, "/m/own", flagRead, 0); got != StatusPermissionDenied {
			t.Errorf("%+v: OPEN of what was put: %s", u, got)
		}
		if got := c.content(to, 0, 100); got != "EOF" {
			t.Errorf("%+v: the copy has %q", u, got)
		}
		rec, _ := c.conn.(*recorded)
		if strings.Contains(rec.got.String(), "secret") {
			t.Errorf("%+v: content came back", u)
		}
		if all, _ := os.ReadDir(home); len(all) != 3 { // mine, to, relative
			t.Errorf("%+v: the home has %v", u, all)
		}
	}
}

// TestReadOnlyRefusesEveryChange tries every request that changes something in a ReadOnly directory, also through a handle of a
// file in it.
func TestReadOnlyRefusesEveryChange(t *testing.T) {
	for _, u := range []vfs.Uploads{{}, {OnClose: true}, {DeleteIncomplete: true}} {
		c, _, dir := several(t, vfs.ReadOnly, u)
		before := describe(t, dir)
		h, mine := c.open("/m/f", flagRead), c.open("/mine", flagRead)
		tries := map[string][]any{
			"WRITE": {byte(typeWrite), h, uint64(0), "x"}, "MKDIR": {byte(typeMkdir), "/m/n", 0}, "RMDIR": {byte(typeRmdir), "/m/empty"},
			"REMOVE": {byte(typeRemove), "/m/f"}, "REMOVE of a link": {byte(typeRemove), "/m/l"}, "RENAME": {byte(typeRename), "/m/f", "/m/g"},
			"posix-rename": {byte(typeExtended), "posix-rename@openssh.com", "/m/f", "/m/g"}, "SYMLINK": {byte(typeSymlink), "f", "/m/k"},
			"hardlink": {byte(typeExtended), "hardlink@openssh.com", "/m/f", "/m/g"}, "hardlink out": {byte(typeExtended), "hardlink@openssh.com", "/m/f", "/g"},
			"RENAME out": {byte(typeRename), "/m/f", "/g"}, "hardlink in": {byte(typeExtended), "hardlink@openssh.com", "/mine", "/m/g"},
			"copy-data": {byte(typeExtended), "copy-data", mine, uint64(0), uint64(0), h, uint64(0)},
		}
		for flags := range 64 {
			if flags&(flagWrite|flagAppend|flagCreate|flagTrunc) != 0 {
				tries[fmt.Sprintf("OPEN %#x", flags)] = []any{byte(typeOpen), "/m/f", flags, 0}
				tries[fmt.Sprintf("OPEN %#x of nothing", flags)] = []any{byte(typeOpen), "/m/n", flags, 0}
			}
		}
		for what, attrs := range map[string][]any{
			"size": {attrSize, uint64(1)}, "mode": {attrMode, 0o777}, "times": {attrTimes, 1, 1}, "owner": {attrOwner, 1, 1}, "nothing": {0},
		} {
			tries["SETSTAT "+what] = append([]any{byte(typeSetstat), "/m/f"}, attrs...)
			tries["SETSTAT of the root "+what] = append([]any{byte(typeSetstat), "/m"}, attrs...)
			tries["FSETSTAT "+what] = append([]any{byte(typeFsetstat), h}, attrs...)
			if what != "size" { // links have none
				tries["lsetstat "+what] = append([]any{byte(typeExtended), "lsetstat@openssh.com", "/m/l"}, attrs...)
			}
		}
		for what, try := range tries {
			typ, _ := try[0].(byte)
			want := StatusPermissionDenied
			if flags, ok := try[min(2, len(try)-1)].(int); ok && typ == typeOpen {
				switch creates := flags&flagCreate != 0; {
				case strings.HasSuffix(what, " of nothing") && !creates:
					want = StatusNoSuchFile
				case !strings.HasSuffix(what, " of nothing") && creates && flags&flagExcl != 0:
					want = StatusFailure
				}
			}
			if got := c.status(typ, try[1:]...); got != want && !(strings.HasSuffix(what, " in") && got == StatusFailure) {
				t.Errorf("%+v: %s: %s", u, what, got)
			}
		}
		if got := c.status(typeExtended, "fsync@openssh.com", h); got != StatusOK {
			t.Errorf("fsync changes nothing: %s", got)
		}
		c.status(typeClose, h)
		if now := describe(t, dir); now != before {
			t.Errorf("%+v: changed:\n%s%s", u, before, now)
		}
	}
}

// describe returns everything in which a change to a file could leave traces.
func describe(t *testing.T, dir string) (text string) {
	t.Helper()
	err := filepath.Walk(dir, func(p string, _ os.FileInfo, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(p, &st)
		}
		text += fmt.Sprintln(p, st.Ino, st.Nlink, st.Mode, st.Size, st.Mtim, st.Ctim)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
