package vfs

import (
	"os"
	"strings"
)

// attack makes requests that must not reach the outside, and counts the successes.
type attack struct {
	*scene
	tree, staged  *Tree
	blocks        uint64 // of the file system of the jail
	tries, inside int
	escapes       []string
}

func (a *attack) escape(what string) { a.escapes = append(a.escapes, what) }

// all makes each request through a directory.
func (a *attack) all(dir string) {
	for _, request := range []func(string){
		a.read, a.attributes, a.list, a.steal, a.upload, a.overwrite, a.directories, a.names,
	} {
		request(dir)
	}
}

func (a *attack) content(what, got string) {
	switch {
	case strings.Contains(got, secretText):
		a.escape(what + " gives a file outside")
	case got == "inside":
		a.inside++
	}
}

func (a *attack) read(dir string) {
	a.tries++
	a.content("read of "+dir, read(a.tree, dir+"/file"))
}

// attributes checks that no file outside is reached: those have another size, and are on another file system.
func (a *attack) attributes(dir string) {
	a.tries += 5
	for what, stat := range map[string]func(string) (Attr, error){"stat": a.tree.Stat, "lstat of a directory": func(p string) (Attr, error) {
		return a.tree.Lstat(p + "/../" + dir[strings.LastIndexByte(dir, '/')+1:] + "/file")
	}} {
		if at, err := stat(dir + "/file"); err == nil && at.Mode&0o170000 == 0o100000 && at.Size == uint64(len(secretText)) {
			a.escape(what + " of " + dir)
		}
	}
	if v, err := a.tree.StatVFS(dir); err == nil && v.Blocks != a.blocks {
		a.escape("statvfs of " + dir)
	}
	if p, err := a.tree.RealPath(dir + "/file"); err == nil && strings.Contains(p, a.base) {
		a.escape("realpath of " + dir)
	}
	if p, err := a.tree.Readlink(dir + "/file"); err == nil && !strings.HasSuffix(p, "/file") {
		a.escape("readlink of " + dir)
	}
}

func (a *attack) list(dir string) {
	a.tries++
	if all, err := names(a.tree, dir); err == nil {
		for _, n := range all {
			if n == "outside-only" {
				a.escape("list of " + dir)
			}
		}
	}
}

// steal tries to get a file out by a hard link, a rename and a copy on the server.
func (a *attack) steal(dir string) {
	a.tries += 4
	if a.tree.Link(dir+"/file", "/stolen") == nil {
		a.content("link of "+dir, read(a.tree, "/stolen"))
		_ = a.tree.Remove("/stolen")
	}
	if a.tree.Rename(dir+"/file", "/stolen") == nil {
		a.content("rename of "+dir, read(a.tree, "/stolen"))
		if a.tree.Rename("/stolen", dir+"/file") != nil {
			_ = a.tree.Remove("/stolen")
		}
	}
	if a.tree.PosixRename(dir+"/sub", "/stolen-dir") == nil {
		a.content("rename of a directory in "+dir, read(a.tree, "/stolen-dir/file"))
		_ = a.tree.PosixRename("/stolen-dir", dir+"/sub") // otherwise it stays, and is replaced when it is empty
	}
	from, err := a.tree.OpenFile(dir+"/file", os.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer from.Close()
	to, err := a.tree.OpenFile("/copy", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return
	}
	_, _ = from.CopyTo(to, 0, 0, 100)
	to.Close()
	a.content("copy of "+dir, read(a.tree, "/copy"))
}

// upload creates files that get their names when they are closed, and aborts some.
func (a *attack) upload(dir string) {
	a.tries += 3
	for i, name := range []string{"/new", "/file", "/sub/new"} {
		f, err := a.staged.OpenFile(dir+name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err == nil {
			_, _ = f.WriteAt([]byte("inside"), 0)
			_, _ = f.Finish(a.tries%4 != i)
		}
	}
	_ = a.staged.Remove(dir + "/new")
}

// overwrite changes files in place, and their attributes.
func (a *attack) overwrite(dir string) {
	a.tries += 5
	for _, flags := range []int{os.O_WRONLY, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_CREATE | os.O_EXCL} {
		if f, err := a.tree.OpenFile(dir+"/file", flags, 0o644); err == nil {
			_, _ = f.WriteAt([]byte("inside"), 0)
			_ = f.Setstat(Changes{Set: SetSize | SetMode, Size: 6, Mode: 0o640})
			f.Close()
		}
	}
	_ = a.tree.Setstat(dir+"/file", Changes{Set: SetSize | SetMode | SetTimes, Size: 6, Mode: 0o600 + uint32(a.tries%2), Mtime: 1})
	_ = a.tree.Lsetstat(dir+"/file", Changes{Set: SetTimes, Mtime: 2})
}

func (a *attack) directories(dir string) {
	a.tries += 2
	_ = a.tree.Mkdir(dir+"/dir", 0o755)
	_ = a.tree.Rmdir(dir + "/dir")
}

// names creates and removes names in a directory.
func (a *attack) names(dir string) {
	a.tries += 7
	_ = a.tree.Link("/mine", dir+"/linked")
	_ = a.tree.Remove(dir + "/linked")
	_ = a.tree.Rename("/mine", dir+"/mine")
	if a.tree.PosixRename(dir+"/mine", "/mine") != nil {
		_ = put(a.tree, "/mine", "mine")
	}
	_ = a.tree.Symlink("x", dir+"/sym")
	_ = a.tree.Remove(dir + "/sym")
	// What was lost in the process.
	_ = a.tree.Mkdir(dir+"/sub", 0o755)
	_ = put(a.tree, dir+"/file", "inside")
}
