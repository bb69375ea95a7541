package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDeniedNames: an invalid name is reported in preference to the access mode's denial.
func TestDeniedNames(t *testing.T) {
	resolvers(t, func(t *testing.T, r Resolver) {
		dir := t.TempDir()
		write(t, dir, "file", "x")
		write(t, dir, "d/x", "x")
		link(t, dir, "l", "file")
		link(t, dir, "dangling", "none")
		before := snapshot(t, dir)
		tr := open(t, r, Mount{Path: "/ro", Volume: dir, Access: ReadOnly}, Mount{Path: "/new", Volume: dir, SubPath: "d", Access: ReadOnly})
		drop := open(t, r, Mount{Path: "/", Volume: dir, Access: WriteOnly})
		opened := func(tr *Tree, p string, flags int) error {
			f, err := tr.OpenFile(p, flags, 0o600)
			if err == nil {
				f.Close()
			}
			return err
		}
		const write, create, excl = os.O_WRONLY, os.O_WRONLY | os.O_CREATE, os.O_WRONLY | os.O_CREATE | os.O_EXCL
		for name, c := range map[string]struct{ got, want error }{
			"mkdir of a directory":              {tr.Mkdir("/ro/d", 0o755), unix.EEXIST},
			"mkdir of a file":                   {tr.Mkdir("/ro/file", 0o755), unix.EEXIST},
			"mkdir of a link":                   {tr.Mkdir("/ro/dangling", 0o755), unix.EEXIST},
			"mkdir without parent":              {tr.Mkdir("/ro/none/x", 0o755), unix.ENOENT},
			"mkdir below a file":                {tr.Mkdir("/ro/file/x", 0o755), unix.ENOTDIR},
			"mkdir of a new one":                {tr.Mkdir("/ro/none", 0o755), ErrAccess},
			"mkdir of ..":                       {tr.Mkdir("/ro/d/x/..", 0o755), unix.ENOTDIR},
			"remove of none":                    {tr.Remove("/ro/none"), unix.ENOENT},
			"remove":                            {tr.Remove("/ro/file"), ErrAccess},
			"rmdir of none":                     {tr.Rmdir("/ro/none"), unix.ENOENT},
			"rmdir":                             {tr.Rmdir("/ro/d"), ErrAccess},
			"rename of none":                    {tr.Rename("/ro/none", "/ro/x"), unix.ENOENT},
			"rename to one that exists":         {tr.Rename("/ro/file", "/ro/d"), unix.EEXIST},
			"rename into none":                  {tr.Rename("/ro/file", "/ro/none/x"), unix.ENOENT},
			"rename":                            {tr.Rename("/ro/file", "/ro/x"), ErrAccess},
			"posix-rename to one that exists":   {tr.PosixRename("/ro/file", "/ro/l"), ErrAccess},
			"posix-rename of none":              {tr.PosixRename("/ro/none", "/ro/l"), unix.ENOENT},
			"symlink that exists":               {tr.Symlink("x", "/ro/l"), unix.EEXIST},
			"symlink":                           {tr.Symlink("x", "/ro/x"), ErrAccess},
			"link of none":                      {tr.Link("/ro/none", "/ro/x"), unix.ENOENT},
			"link that exists":                  {tr.Link("/ro/file", "/ro/l"), unix.EEXIST},
			"link":                              {tr.Link("/ro/file", "/ro/x"), ErrAccess},
			"setstat of none":                   {tr.Setstat("/ro/none", Changes{Set: SetTimes}), unix.ENOENT},
			"setstat of a dangling link":        {tr.Setstat("/ro/dangling", Changes{Set: SetTimes}), unix.ENOENT},
			"lsetstat of a dangling link":       {tr.Lsetstat("/ro/dangling", Changes{Set: SetTimes}), ErrAccess},
			"setstat":                           {tr.Setstat("/ro/file", Changes{Set: SetTimes}), ErrAccess},
			"setstat of the root":               {tr.Setstat("/ro", Changes{Set: SetTimes}), ErrAccess},
			"write to none":                     {opened(tr, "/ro/none", write), unix.ENOENT},
			"write to a directory":              {opened(tr, "/ro/d", write), unix.EISDIR},
			"write":                             {opened(tr, "/ro/l", write), ErrAccess},
			"truncate":                          {opened(tr, "/ro/file", write|os.O_TRUNC), ErrAccess},
			"create one that exists":            {opened(tr, "/ro/file", create), ErrAccess},
			"create one that exists, exclusive": {opened(tr, "/ro/l", excl), unix.EEXIST},
			"create":                            {opened(tr, "/ro/none", create), ErrAccess},
			"create, exclusive":                 {opened(tr, "/ro/none", excl), ErrAccess},
			"create in none":                    {opened(tr, "/ro/none/x", create), unix.ENOENT},
			"create a directory's":              {opened(tr, "/ro/d", create), unix.EISDIR},
			"read of none in a drop box":        {opened(drop, "/none", os.O_RDONLY), unix.ENOENT},
			"read of a directory there":         {opened(drop, "/d", os.O_RDONLY), unix.EISDIR},
			"read there":                        {opened(drop, "/l", os.O_RDONLY), ErrAccess},
			"list of none there":                {second(drop.OpenDir("/none")), unix.ENOENT},
			"list of a file there":              {second(drop.OpenDir("/file")), unix.ENOTDIR},
			"list there":                        {second(drop.OpenDir("/d")), ErrAccess},
			"readlink of none there":            {second(drop.Readlink("/none")), unix.ENOENT},
			"readlink of a file there":          {second(drop.Readlink("/file")), unix.EINVAL},
			"readlink there":                    {second(drop.Readlink("/l")), ErrAccess},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: %v, want %v", name, c.got, c.want)
			}
		}
		if snapshot(t, dir) != before {
			t.Error("something has changed")
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestCreateOnly: existing files do not change, and uploads work the way clients make them.
func TestCreateOnly(t *testing.T) {
	for name, u := range map[string]Uploads{"Immediate": {}, "OnClose": {OnClose: true}} {
		t.Run(name, func(t *testing.T) { resolvers(t, func(t *testing.T, r Resolver) { createOnly(t, r, u) }) })
	}
}

func createOnly(t *testing.T, r Resolver, u Uploads) {
	dir := t.TempDir()
	write(t, dir, "old", "old")
	write(t, dir, "d/x", "x")
	link(t, dir, "dangling", "free")
	box := func() *Tree {
		tr, err := Open([]Mount{{Path: "/", Volume: dir, Access: CreateOnly}}, WithResolver(r), WithUploads(u))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tr.Close() })
		return tr
	}
	mine, other := box(), box()
	upload := func(tr *Tree, p string, flags int) error {
		f, err := tr.OpenFile(p, os.O_WRONLY|os.O_CREATE|flags, 0o600)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte("new"), 0)
		if e := f.Setstat(Changes{Set: SetMode | SetTimes, Mode: 0o640, Mtime: 1e9}); err == nil {
			err = e
		}
		if _, e := f.Finish(true); err == nil {
			err = e
		}
		return err
	}
	times := Changes{Set: SetTimes, Mtime: 1e9}
	for _, c := range []struct {
		what      string
		got, want error
	}{
		{"upload", upload(mine, "/a.part", os.O_TRUNC), nil},
		{"the same again", upload(mine, "/a.part", os.O_TRUNC), unix.EEXIST},
		{"without truncation", upload(mine, "/a.part", 0), unix.EEXIST},
		{"to append", upload(mine, "/old", os.O_APPEND), unix.EEXIST},
		{"behind a link", upload(mine, "/dangling", 0), unix.EEXIST},
		{"open what is there", func() error { _, err := mine.OpenFile("/old", os.O_WRONLY, 0); return err }(), ErrAccess},
		{"times", mine.Setstat("/a.part", times), nil},
		{"size", mine.Setstat("/a.part", Changes{Set: SetSize}), ErrAccess},
		{"times of another's", other.Setstat("/a.part", times), ErrAccess},
		{"rename of another's", other.Rename("/a.part", "/b"), ErrAccess},
		{"rename over a file", mine.PosixRename("/a.part", "/old"), unix.EEXIST},
		{"rename over a file, not posix", mine.Rename("/a.part", "/old"), unix.EEXIST},
		{"rename over a link", mine.PosixRename("/a.part", "/dangling"), unix.EEXIST},
		{"rename", mine.PosixRename("/a.part", "/a"), nil},
		{"rename again", mine.Rename("/a", "/d/a"), nil},
		{"times again", mine.Lsetstat("/d/a", times), nil},
		{"remove", mine.Remove("/d/a"), ErrAccess},
		{"rename of what was there", mine.Rename("/old", "/older"), ErrAccess},
		{"mkdir", mine.Mkdir("/e", 0o755), nil},
		{"mode of it", mine.Setstat("/e", Changes{Set: SetMode, Mode: 0o700}), nil},
		{"upload into it", upload(mine, "/e/f", 0), nil},
		{"rename of a directory", mine.Rename("/e", "/g"), ErrAccess},
		{"rmdir", mine.Rmdir("/e"), ErrAccess},
		{"link", mine.Link("/d/a", "/h"), ErrAccess},
		{"symlink", mine.Symlink("x", "/h"), ErrAccess},
		{"mkdir of what is there", mine.Mkdir("/d", 0o755), unix.EEXIST},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	// A name that now belongs to another file no longer counts as the connection's own.
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "other"), filepath.Join(dir, "d", "a")); err != nil {
		t.Fatal(err)
	}
	if err := mine.Rename("/d/a", "/stolen"); !errors.Is(err, ErrAccess) {
		t.Errorf("rename of what has replaced a file: %v", err)
	}
	if got := read(open(t, r, Mount{Path: "/", Volume: dir, Access: ReadOnly}), "/old"); got != "old" {
		t.Errorf("the old file has %q", got)
	}
	if u.OnClose { // an interrupted upload is not resumed, but started over
		f, err := mine.OpenFile("/late", os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Finish(false); err != nil {
			t.Fatal(err)
		}
		if err := upload(other, "/late", 0); err != nil {
			t.Errorf("upload after an interrupted one: %v", err)
		}
	}
}
