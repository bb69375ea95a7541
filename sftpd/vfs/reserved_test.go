package vfs

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// forms are names that some volume treats as one of the server's.
var forms = []string{
	".sftpd-events", ".SFTPD-EVENTS", ".Sftpd-Events", ".ſftpd-eventſ", ".sftpd\u200d-events", "\u00ad.sftpd-events\ufe0f", ".sftpd-events.", ".SFTPD-events. .",
	".sftpd-codes", ".Sftpd-CODES", ".ſftpd-codeſ", ".sftpd-codes.", ".sftpd-events ", ".sftpd-events::$INDEX_ALLOCATION", ".sftpd-upload.", ".sftpd-upload.x", ".SFTPD-UPLOAD.X", ".Sftpd\u2060-upload.\u2060x", ".ſftpd-upload.1",
}

// TestReservedNames: a user cannot reach or create the server's files, neither by their names nor by other forms that some
// volumes treat as the same names. Names that only resemble them are available to users.
func TestReservedNames(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := home(t, r)
		write(t, dir, "mine", "mine")
		for _, name := range forms {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, dir, name+"/file", "another one's")
			_, opened := tree.OpenFile("/"+name+"/file", unix.O_RDONLY, 0)
			_, created := tree.OpenFile("/"+name+"/new", create, 0o600)
			_, statted := tree.Stat("/" + name)
			_, listed := tree.OpenDir("/mine/../" + name)
			_, read := tree.Readlink("/" + name)
			_, real := tree.RealPath("/" + name + "/file")
			for what, err := range map[string]error{
				"open": opened, "create": created, "stat": statted, "list": listed, "readlink": read, "realpath": real,
				"mkdir": tree.Mkdir("/"+name, 0o700), "rmdir": tree.Rmdir("/" + name), "remove": tree.Remove("/" + name + "/file"),
				"rename": tree.Rename("/"+name, "/other"), "rename to": tree.PosixRename("/mine", "/"+name), "link": tree.Link("/"+name+"/file", "/other"),
				"symlink": tree.Symlink(name+"/file", "/other"), "symlink at": tree.Symlink("mine", "/"+name), "setstat": tree.Setstat("/"+name, Changes{Set: SetSize}),
			} {
				if err != ErrReserved { //nolint:errorlint // the identical error
					t.Errorf("%s of %q: %v", what, name, err)
				}
			}
			if m, err := Open([]Mount{{Path: "/", Volume: dir, SubPath: name, Access: ReadWrite}}, WithResolver(r)); err == nil {
				_ = m.Close()
				t.Errorf("%q is mounted", name)
			}
		}
		theirs := []string{
			".sftpd-code", ".sftpd-codes2", ".sftpd-event", ".sftpd-eventsx", ".sftpd-events-", ".sftpd-upload", "sftpd-events", ".sftpd-upload-x", ".sftpd-events.old", ".śftpd-events", ".sftpd-\xffevents",
		}
		for _, name := range theirs {
			if err := tree.Mkdir("/"+name, 0o700); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
		theirs = append(theirs, "mine")
		slices.Sort(theirs)
		if have, err := names(tree, "/"); err != nil || !slices.Equal(have, theirs) {
			t.Errorf("listed %q, %v, want %q", have, err, theirs)
		}
	})
}

// TestOtherFormsAreNotOurs: another program's file, with a name that only some volumes treat as one of the server's, is not a
// leftover, which would be removed with its directory or when it is old.
func TestOtherFormsAreNotOurs(t *testing.T) {
	tree, dir := home(t, Auto)
	write(t, dir, "d/.SFTPD-UPLOAD.X", "another program's")
	if err := tree.Rmdir("/d"); err != unix.ENOTEMPTY {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "d/.SFTPD-UPLOAD.X")); err != nil {
		t.Error(err)
	}
	if Staged(".SFTPD-UPLOAD.X") || !Staged(".sftpd-upload.x") {
		t.Error("other forms are taken for uploads")
	}
}

func BenchmarkReserved(b *testing.B) {
	b.ReportAllocs()
	names := [][]byte{[]byte("invoice-2026-11-30.csv"), []byte(".bashrc"), []byte("Übersicht.pdf"), []byte(".sftpd-upload.0123456789abcdef")}
	for b.Loop() {
		for _, n := range names {
			reserved(n)
		}
	}
}
