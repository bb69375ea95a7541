package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	create  = os.O_WRONLY | os.O_CREATE | os.O_TRUNC // as clients put
	proceed = os.O_WRONLY | os.O_CREATE              // as clients resume
)

// uploadTree opens a tree with a policy over a directory with a file "old".
func uploadTree(t *testing.T, r Resolver, u Uploads, access Access) (*Tree, string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "old", "old content")
	tree, err := Open([]Mount{{Path: "/", Volume: dir, Access: access}}, WithResolver(r), WithUploads(u))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree, dir
}

// start opens a file and writes a part of it.
func start(t *testing.T, tree *Tree, p string, flags int, off int64, content string) *File {
	t.Helper()
	f, err := tree.OpenFile(p, flags, 0o640)
	if err != nil {
		t.Fatalf("open %s: %v", p, err)
	}
	if _, err := f.WriteAt([]byte(content), off); err != nil {
		t.Fatal(err)
	}
	return f
}

func finish(t *testing.T, f *File, complete bool, want Leftover) {
	t.Helper()
	left, err := f.Finish(complete)
	if err != nil || left != want {
		t.Errorf("finished as complete=%v: left %q, %v; want %q", complete, left, err, want)
	}
}

// hidden returns the names on disk that users do not see.
func hidden(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if reserved(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// What readers of the volume see during and after an upload.
func TestPublishOnClose(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		for _, sync := range []bool{false, true} {
			tree, dir := uploadTree(t, r, Uploads{OnClose: true, Sync: sync}, ReadWrite)
			if err := os.Chmod(filepath.Join(dir, "old"), 0o604); err != nil {
				t.Fatal(err)
			}
			for name, before := range map[string]string{"new": "[no such file or directory]", "old": "old content"} {
				f := start(t, tree, "/"+name, create, 0, "half of it")
				if !f.Staged() || read(tree, "/"+name) != before || len(hidden(t, dir)) != 1 {
					t.Errorf("%s while it is put: staged %v, %q, hidden %q", name, f.Staged(), read(tree, "/"+name), hidden(t, dir))
				}
				if names := list(t, tree, "/"); strings.Contains(names, stagingPrefix) {
					t.Errorf("listing %s", names)
				}
				finish(t, f, true, Nothing)
				if got := read(tree, "/"+name); got != "half of it" || len(hidden(t, dir)) != 0 {
					t.Errorf("%s: %q, hidden %q", name, got, hidden(t, dir))
				}
			}
			if a, _ := tree.Stat("/old"); a.Mode&0o777 != 0o604 {
				t.Errorf("mode %o: a replaced file keeps its permissions", a.Mode&0o777)
			}
			if a, _ := tree.Stat("/new"); a.Mode&0o777 != 0o640 {
				t.Errorf("mode %o: a new file has those asked for", a.Mode&0o777)
			}
		}
	})
}

// Files that are written in place even with OnClose.
func TestResumeAndAppendInPlace(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		for _, u := range []Uploads{{}, {OnClose: true}, {DeleteIncomplete: true}, {OnClose: true, DeleteIncomplete: true, Sync: true}} {
			tree, dir := uploadTree(t, r, u, ReadWrite)
			f := start(t, tree, "/old", proceed, 4, "CONTENT")
			if f.Staged() || read(tree, "/old") != "old CONTENT" {
				t.Errorf("%+v: resumed in place: %q", u, read(tree, "/old"))
			}
			finish(t, f, true, Nothing)
			f = start(t, tree, "/old", os.O_WRONLY|os.O_APPEND, 0, "+more")
			finish(t, f, false, Kept) // a broken connection removes nothing that existed before
			if got := read(tree, "/old"); got != "old CONTENT+more" || len(hidden(t, dir)) != 0 {
				t.Errorf("%+v: %q", u, got)
			}
			f, err := tree.OpenFile("/old", os.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			finish(t, f, false, Nothing)
		}
	})
}

func TestInterruptedUploads(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		t.Run("in place, kept", func(t *testing.T) {
			tree, _ := uploadTree(t, r, Uploads{}, ReadWrite)
			finish(t, start(t, tree, "/new", create, 0, "part"), false, Kept)
			if got := read(tree, "/new"); got != "part" {
				t.Errorf("%q", got)
			}
		})
		t.Run("in place, deleted", func(t *testing.T) {
			tree, _ := uploadTree(t, r, Uploads{DeleteIncomplete: true}, ReadWrite)
			finish(t, start(t, tree, "/new", create, 0, "part"), false, Deleted)
			if _, err := tree.Stat("/new"); err != unix.ENOENT {
				t.Errorf("the part is there: %v", err)
			}
			finish(t, start(t, tree, "/old", create, 0, "part"), false, Kept)
			if got := read(tree, "/old"); got != "part" {
				t.Errorf("a file that was there: %q", got)
			}
			f := start(t, tree, "/moved", create, 0, "part")
			if err := tree.Rename("/moved", "/away"); err != nil {
				t.Fatal(err)
			}
			if err := put(tree, "/moved", "another"); err != nil {
				t.Fatal(err)
			}
			finish(t, f, false, Kept)
			if read(tree, "/moved") != "another" || read(tree, "/away") != "part" {
				t.Error("a file was deleted that is another one")
			}
		})
		t.Run("staged, deleted", func(t *testing.T) {
			tree, dir := uploadTree(t, r, Uploads{OnClose: true, DeleteIncomplete: true}, ReadWrite)
			finish(t, start(t, tree, "/new", create, 0, "part"), false, Deleted)
			finish(t, start(t, tree, "/old", create, 0, "part"), false, Deleted)
			if read(tree, "/old") != "old content" || len(hidden(t, dir)) != 0 {
				t.Errorf("%q, hidden %q", read(tree, "/old"), hidden(t, dir))
			}
		})
		t.Run("staged, kept and resumed", func(t *testing.T) {
			tree, dir := uploadTree(t, r, Uploads{OnClose: true}, ReadWrite)
			finish(t, start(t, tree, "/new", create, 0, "part"), false, Kept)
			a, err := tree.Stat("/new")
			if err != nil || a.Size != 4 || read(tree, "/new") != "[no such file or directory]" {
				t.Errorf("its size is %d, %v; reading gives %q", a.Size, err, read(tree, "/new"))
			}
			f := start(t, tree, "/new", proceed, 4, "ed")
			if !f.Staged() {
				t.Error("it is not continued out of sight")
			}
			finish(t, f, false, Kept) // again
			finish(t, start(t, tree, "/new", os.O_WRONLY|os.O_APPEND, 0, "!"), true, Nothing)
			if read(tree, "/new") != "parted!" || len(hidden(t, dir)) != 0 {
				t.Errorf("%q, hidden %q", read(tree, "/new"), hidden(t, dir))
			}
		})
		t.Run("staged, kept next to the old file", func(t *testing.T) {
			tree, dir := uploadTree(t, r, Uploads{OnClose: true}, ReadWrite)
			finish(t, start(t, tree, "/old", create, 0, "part"), false, Kept)
			if a, err := tree.Stat("/old"); err != nil || a.Size != 11 || read(tree, "/old") != "old content" {
				t.Errorf("size %d, %v, %q", a.Size, err, read(tree, "/old"))
			}
			if _, err := tree.OpenFile("/old", proceed, 0); !errors.Is(err, ErrInterrupted) {
				t.Errorf("continuing would mix two files: %v", err)
			}
			finish(t, start(t, tree, "/old", create, 0, "whole"), true, Nothing)
			if read(tree, "/old") != "whole" || len(hidden(t, dir)) != 0 {
				t.Errorf("%q, hidden %q", read(tree, "/old"), hidden(t, dir))
			}
			finish(t, start(t, tree, "/old", proceed, 5, "some"), true, Nothing)
		})
	})
}

// A client that cleans up after an interrupted upload does so by its name.
func TestRemovingWhatIsKept(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := uploadTree(t, r, Uploads{OnClose: true}, ReadWrite)
		finish(t, start(t, tree, "/new", create, 0, "part"), false, Kept)
		if err := tree.Remove("/new"); err != nil {
			t.Error(err)
		}
		if err := tree.Remove("/new"); err != unix.ENOENT {
			t.Errorf("removed twice: %v", err)
		}
		finish(t, start(t, tree, "/old", create, 0, "part"), false, Kept)
		if err := tree.Remove("/old"); err != nil || len(hidden(t, dir)) != 0 {
			t.Errorf("%v, hidden %q", err, hidden(t, dir))
		}
		if err := tree.Mkdir("/d", 0o755); err != nil {
			t.Fatal(err)
		}
		finish(t, start(t, tree, "/d/new", create, 0, "part"), false, Kept)
		live := start(t, tree, "/d/live", create, 0, "part")
		if err := tree.Rmdir("/d"); err != unix.ENOTEMPTY {
			t.Errorf("a directory with an upload in progress: %v", err)
		}
		finish(t, live, true, Nothing)
		if err := tree.Remove("/d/live"); err != nil {
			t.Fatal(err)
		}
		// The daemon was killed during another upload: its locks are gone.
		write(t, filepath.Join(dir, "d"), hiddenName(), "left")
		if err := tree.Rmdir("/d"); err != nil {
			t.Errorf("a directory that looks empty: %v", err)
		}
	})
}

// The kept part of an upload belongs to the file that had the name then: once another file gets the name, or the file another
// name, a resuming client must not continue with the stale part.
func TestRenamesForgetWhatIsKept(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		for kind, rename := range map[string]func(*Tree, string, string) error{"rename": (*Tree).Rename, "posix-rename": (*Tree).PosixRename} {
			tree, dir := uploadTree(t, r, Uploads{OnClose: true}, ReadWrite)
			finish(t, start(t, tree, "/old", create, 0, "stale"), false, Kept)
			if err := rename(tree, "/old", "/moved"); err != nil || len(hidden(t, dir)) != 0 {
				t.Errorf("%s of a name: %v, hidden %q", kind, err, hidden(t, dir))
			}
			finish(t, start(t, tree, "/new", create, 0, "stale"), false, Kept)
			if err := rename(tree, "/moved", "/new"); err != nil || len(hidden(t, dir)) != 0 {
				t.Errorf("%s onto a name: %v, hidden %q", kind, err, hidden(t, dir))
			}
			finish(t, start(t, tree, "/new", proceed, 3, "XY"), true, Nothing)
			if got, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || string(got) != "oldXYontent" {
				t.Errorf("%s: resumed as %q, %v", kind, got, err)
			}
			// A failed one changes nothing.
			finish(t, start(t, tree, "/new", create, 0, "part"), false, Kept)
			if err := rename(tree, "/none", "/new"); err == nil || len(hidden(t, dir)) != 1 {
				t.Errorf("%s of nothing: %v, hidden %q", kind, err, hidden(t, dir))
			}
		}
	})
}

// A directory with a paused upload is not empty. If no lock shows whether it is still in progress, a client may pause for a
// day; one that the daemon has not touched for longer was left behind when it was killed.
func TestPausedUploadsKeepTheirDirectory(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := uploadTree(t, r, Uploads{OnClose: true}, ReadWrite)
		withoutLocks(t)
		for age, stays := range map[time.Duration]bool{
			0: true, 30 * time.Minute: true, time.Hour: true, 24 * time.Hour: true, 26 * time.Hour: false, 1000 * time.Hour: false,
		} {
			if err := tree.Mkdir("/d", 0o755); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, "d", hiddenName())
			write(t, filepath.Dir(name), filepath.Base(name), "part")
			when := time.Now().Add(-age)
			if err := os.Chtimes(name, when, when); err != nil {
				t.Fatal(err)
			}
			err := tree.Rmdir("/d")
			if _, there := os.Stat(name); (there == nil) != stays || (err == unix.ENOTEMPTY) != stays || !stays && err != nil {
				t.Errorf("aged %s: rmdir %v, the upload %v", age, err, there)
			}
			if err := os.RemoveAll(filepath.Join(dir, "d")); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestExclusiveUploads(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := uploadTree(t, r, Uploads{OnClose: true, DeleteIncomplete: true}, ReadWrite)
		if _, err := tree.OpenFile("/old", create|os.O_EXCL, 0o600); err != unix.EEXIST {
			t.Errorf("an existing file: %v", err)
		}
		f := start(t, tree, "/new", create|os.O_EXCL, 0, "mine")
		write(t, dir, "new", "another's")
		if left, err := f.Finish(true); err != unix.EEXIST || left != Deleted {
			t.Errorf("left %q, %v", left, err)
		}
		if got := read(tree, "/new"); got != "another's" {
			t.Errorf("%q", got)
		}
	})
}

// A file that is not or cannot be staged is opened or refused as without a policy.
func TestUploadsThatCannotBe(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := uploadTree(t, r, Uploads{OnClose: true}, ReadWrite)
		if err := os.Mkdir(filepath.Join(dir, "dir"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
			t.Fatal(err)
		}
		link(t, dir, "link", "dir/../old")
		link(t, dir, "dangling", "dir/made")
		for p, want := range map[string]error{
			"/dir": unix.EISDIR, "/": unix.EISDIR, "/none/x": unix.ENOENT, "/old/x": unix.ENOTDIR, "/fifo": ErrNotRegular,
			"/" + hiddenName(): ErrReserved, "/" + hiddenName() + "/x": ErrReserved,
		} {
			if f, err := tree.OpenFile(p, create, 0o600); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", p, err, want)
				if err == nil {
					_, _ = f.Finish(false)
				}
			}
		}
		finish(t, start(t, tree, "/link", create, 0, "through"), true, Nothing)
		finish(t, start(t, tree, "/dangling", create, 0, "made"), true, Nothing)
		if read(tree, "/old") != "through" || read(tree, "/dir/made") != "made" {
			t.Errorf("through links: %q, %q", read(tree, "/old"), read(tree, "/dir/made"))
		}
		if target, err := tree.Readlink("/link"); err != nil || target != "dir/../old" {
			t.Errorf("the link was replaced: %q, %v", target, err)
		}
		if tree, _ := uploadTree(t, r, Uploads{OnClose: true}, ReadOnly); tree != nil {
			if _, err := tree.OpenFile("/new", create, 0o600); !errors.Is(err, ErrAccess) {
				t.Errorf("read-only: %v", err)
			}
		}
		drop, dropDir := uploadTree(t, r, Uploads{OnClose: true}, WriteOnly)
		finish(t, start(t, drop, "/new", create, 0, "delivered"), true, Nothing)
		if data, err := os.ReadFile(filepath.Join(dropDir, "new")); err != nil || string(data) != "delivered" {
			t.Errorf("a drop box: %q, %v", data, err)
		}
	})
}

// If the directory is removed during an upload, closing it fails.
func TestUploadWhoseDirectoryIsGone(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		tree, dir := uploadTree(t, r, Uploads{OnClose: true}, ReadWrite)
		if err := tree.Mkdir("/d", 0o755); err != nil {
			t.Fatal(err)
		}
		f := start(t, tree, "/d/x", create, 0, "data")
		if err := tree.Rename("/d", "/e"); err != nil {
			t.Fatal(err)
		}
		finish(t, f, true, Nothing)
		if got := read(tree, "/e/x"); got != "data" {
			t.Errorf("in a directory that was renamed: %q", got)
		}
		f = start(t, tree, "/e/y", create, 0, "data")
		if err := os.RemoveAll(filepath.Join(dir, "e")); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Finish(true); err != ErrRemoved { //nolint:errorlint // the identical error
			t.Errorf("in a directory that was removed: %v", err)
		}
	})
}

func TestListNames(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		dir, out := t.TempDir(), t.TempDir()
		write(t, dir, "in", "secret")
		tree := open(t, r, Mount{Path: "/", Volume: dir, Access: WriteOnly, ListNames: true})
		if got := list(t, tree, "/"); !strings.Contains(got, "in") {
			t.Errorf("listing %q", got)
		}
		if _, err := tree.OpenFile("/in", os.O_RDONLY, 0); !errors.Is(err, ErrAccess) {
			t.Errorf("reading: %v", err)
		}
		// Mount points are the user's own configuration, and what it works with.
		tree = open(t, r, Mount{Path: "/", Volume: dir, Access: WriteOnly}, Mount{Path: "/out", Volume: out, Access: ReadOnly})
		if got := list(t, tree, "/"); strings.Contains(got, "in") || !strings.Contains(got, "out") {
			t.Errorf("listing of a drop box with a mount point: %q", got)
		}
		if _, err := Open([]Mount{{Path: "/", Volume: dir, Access: ReadOnly, ListNames: true}}); err == nil {
			t.Error("ListNames of a mount that is listed anyway")
		}
		_, err := Open([]Mount{
			{Path: "/", Volume: dir, Access: WriteOnly}, {Path: "/all", Volume: dir, Access: WriteOnly, ListNames: true},
		})
		if err == nil {
			t.Error("one directory, listed by one path and not by the other")
		}
	})
}

func TestIgnoreAttributes(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		dir := t.TempDir()
		write(t, dir, "f", "content")
		link(t, dir, "l", "f")
		all := Changes{Set: SetMode | SetTimes | SetOwner, Mode: 0o777, Mtime: 1, UID: 4711, GID: 4711}
		tree := open(t, r, Mount{Path: "/", Volume: dir, Access: ReadWrite, IgnoreAttributes: true})
		before, _ := tree.Stat("/f")
		f, err := tree.OpenFile("/f", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for what, err := range map[string]error{
			"setstat": tree.Setstat("/f", all), "lsetstat": tree.Lsetstat("/l", all), "fsetstat": f.Setstat(all),
			"setstat of the root": tree.Setstat("/", all),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if after, _ := tree.Stat("/f"); after != before {
			t.Errorf("attributes %+v, before %+v", after, before)
		}
		if err := tree.Setstat("/f", Changes{Set: SetSize | SetMode, Size: 3, Mode: 0o777}); err != nil || read(tree, "/f") != "con" {
			t.Errorf("the size: %v, %q", err, read(tree, "/f"))
		}
		if err := tree.Setstat("/none", all); err != unix.ENOENT {
			t.Errorf("a file that does not exist: %v", err)
		}
		tree = open(t, r, Mount{Path: "/", Volume: dir, Access: ReadOnly, IgnoreAttributes: true})
		if err := tree.Setstat("/f", all); !errors.Is(err, ErrAccess) {
			t.Errorf("in a read-only mount: %v", err)
		}
	})
}
