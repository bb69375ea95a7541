package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// behavior is a row of the table: something that a client does, and how it is checked. Each starts with an empty home and a new
// local directory.
type behavior struct {
	name string
	// has reports whether the driver supports the test. Nil means that all do.
	has  func(*driver) bool
	test func(*testing.T, *client)
}

// behaviors returns all rows except logins.
func behaviors() []behavior {
	return []behavior{
		{roundTripsRow, nil, testRoundTrips},
		{"a missing file is an error", nil, testMissing},
		{"resume an upload", func(d *driver) bool { return d.resume.put != nil }, testResumePut},
		{"resume a download", func(d *driver) bool { return d.resume.get != nil }, testResumeGet},
		{"append", func(d *driver) bool { return d.appendTo != nil }, testAppend},
		{"mirror up", func(d *driver) bool { return d.mirror.put != nil }, testMirrorUp},
		{"mirror down", func(d *driver) bool { return d.mirror.get != nil }, testMirrorDown},
		{"mirror again: only what changed, delete what is gone", func(d *driver) bool { return d.update != nil }, testUpdate},
		{"rename", func(d *driver) bool { return d.rename != nil }, testRename},
		{"rename over a file", func(d *driver) bool { return d.replace != nil }, testReplace},
		{"time kept, upload", func(d *driver) bool { return d.keepTime.put != nil }, testKeepTimePut},
		{"time kept, download", func(d *driver) bool { return d.keepTime.get != nil }, testKeepTimeGet},
		{keepModePutRow, func(d *driver) bool { return d.keepMode.put != nil }, testKeepModePut},
		{"mode kept, download", func(d *driver) bool { return d.keepMode.get != nil }, testKeepModeGet},
		{"list 20,000 entries", func(d *driver) bool { return d.list != nil }, testList},
		{unicodeNames, nil, testNames("naïve ☃ 日本語 é.txt", "with space", "quote'\"s", "-dash", "[glob]*?", "back\\slash")},
		{latin1Names, nil, testNames("caf\xe9")},
		{longNames, nil, testNames(strings.Repeat("n", 255))},
		{"size of the file system (statvfs)", func(d *driver) bool { return d.space != nil }, testSpace},
		{"transfers in parallel", nil, testParallel},
		{createOnlyRow, nil, testCreateOnly},
	}
}

const (
	roundTripsRow  = "round trips by SHA-256: 0, 1, 32767, 32768, 32769, 1 MiB + 1, 300 MiB"
	keepModePutRow = "mode kept, upload"
	unicodeNames   = "Unicode names, and those with spaces, quotes, globs"
	latin1Names    = "names that are not UTF-8 (Latin-1)"
	longNames      = "names of 255 bytes"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testRoundTrips(t *testing.T, c *client) {
	var up, down []pair
	for _, size := range sizes {
		if size == large && c.large != 0 {
			size = c.large
		}
		name := fmt.Sprintf("f-%d", size)
		bring(t, c.local, name)
		up, down = append(up, pair{name, "/" + name}), append(down, pair{"/" + name, "back-" + name})
	}
	c.judge(t, c.copy.put(c.account, up...), func() {
		for _, p := range up {
			if have := fileSum(t, c.at(p.to)); have != fixtures.sums[p.from] {
				t.Errorf("%s was uploaded with SHA-256 %s, want %s", p.from, have, fixtures.sums[p.from])
			}
		}
	})
	c.judge(t, c.copy.get(c.account, down...), func() {
		for _, p := range down {
			if have, want := fileSum(t, c.here(p.to)), fixtures.sums[filepath.Base(p.from)]; have != want {
				t.Errorf("%s was downloaded with SHA-256 %s, want %s", p.from, have, want)
			}
		}
	})
}

func testMissing(t *testing.T, c *client) {
	c.refuses(t, c.copy.get(c.account, pair{"/nothing", "nothing"}), func() {
		if data, err := os.ReadFile(c.here("nothing")); err == nil && len(data) > 0 {
			t.Errorf("it holds %q", data)
		}
	})
}

// partLength is how much of the file big exists already. It is not a multiple of any block size.
const partLength = 300001

func testResumePut(t *testing.T, c *client) {
	bring(t, c.local, big)
	data := read(t, c.here(big))
	write(t, c.at("part"), data[:partLength])
	c.judge(t, c.resume.put(c.account, pair{big, "/part"}), func() { holds(t, c.at("part"), data) })
}

func testResumeGet(t *testing.T, c *client) {
	bring(t, c.local, big)
	data := read(t, c.here(big))
	write(t, c.at("all"), data)
	write(t, c.here("part"), data[:partLength])
	c.judge(t, c.resume.get(c.account, pair{"/all", "part"}), func() { holds(t, c.here("part"), data) })
}

func testAppend(t *testing.T, c *client) {
	bring(t, c.local, big)
	data := read(t, c.here(big))
	write(t, c.at("log"), "what was there\n")
	c.judge(t, c.appendTo(c.account, big, "/log"), func() { holds(t, c.at("log"), "what was there\n"+data) })
}

func testMirrorUp(t *testing.T, c *client) {
	makeTree(t, c.here("tree"))
	c.judge(t, c.mirror.put(c.account, pair{"tree", "/up"}), func() {
		sameTrees(t, c.at("up"), c.here("tree"), c.links, false)
	})
}

func testMirrorDown(t *testing.T, c *client) {
	makeTree(t, c.at("tree"))
	c.judge(t, c.mirror.get(c.account, pair{"/tree", "down"}), func() {
		sameTrees(t, c.here("down"), c.at("tree"), c.links, true)
	})
}

func testUpdate(t *testing.T, c *client) {
	makeTree(t, c.here("tree"))
	same := func() { sameTrees(t, c.at("up"), c.here("tree"), c.links, false) }
	c.judge(t, c.mirror.put(c.account, pair{"tree", "/up"}), same)
	write(t, c.here("tree/sub/new"), "new")
	must(t, os.Remove(c.here("tree/empty")))
	before := changed(t, c.at("up/sub/big"))
	c.judge(t, c.update(c.account, pair{"tree", "/up"}), func() {
		same()
		if after := changed(t, c.at("up/sub/big")); after != before {
			t.Errorf("a file that did not change was sent again: change time %v, was %v", after, before)
		}
	})
}

// changed returns the time of the last change to a file or its attributes, which no client can set.
func changed(t *testing.T, file string) unix.Timespec {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(file, &st))
	return st.Ctim
}

// gone checks that a name does not exist.
func gone(t *testing.T, file string) {
	t.Helper()
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there: %v", file, err)
	}
}

func testRename(t *testing.T, c *client) {
	write(t, c.at("old"), "old")
	must(t, os.Mkdir(c.at("d"), 0o755))
	c.judge(t, c.rename(c.account, "/old", "/d/new"), func() {
		holds(t, c.at("d/new"), "old")
		gone(t, c.at("old"))
	})
	if c.replace != nil {
		return
	}
	// This shows the client's limitation: its rename is refused, and does no harm.
	write(t, c.at("other"), "other")
	c.refuses(t, c.rename(c.account, "/other", "/d/new"), func() {
		holds(t, c.at("d/new"), "old")
		holds(t, c.at("other"), "other")
	})
}

func testReplace(t *testing.T, c *client) {
	write(t, c.at("old"), "the old one")
	write(t, c.at("new"), "new")
	c.judge(t, c.replace(c.account, "/old", "/new"), func() {
		holds(t, c.at("new"), "the old one")
		gone(t, c.at("old"))
	})
}

// past is a time in whole seconds, the resolution of version 3 of the protocol.
var past = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func testKeepTimePut(t *testing.T, c *client) {
	c.keepsTime(t, c.keepTime.put, c.here("file"), pair{"file", "/kept"}, c.at("kept"))
}

func testKeepTimeGet(t *testing.T, c *client) {
	c.keepsTime(t, c.keepTime.get, c.at("file"), pair{"/file", "kept"}, c.here("kept"))
}

func (c *client) keepsTime(t *testing.T, do func(*account, ...pair) error, source string, p pair, copied string) {
	t.Helper()
	write(t, source, "file")
	must(t, os.Chtimes(source, past, past))
	c.judge(t, do(c.account, p), func() {
		holds(t, copied, "file")
		if st, err := os.Stat(copied); err != nil || !st.ModTime().Equal(past) {
			t.Errorf("%v, modified %v", err, st.ModTime())
		}
	})
}

func testKeepModePut(t *testing.T, c *client) {
	c.keepsMode(t, c.keepMode.put, c.here("file"), pair{"file", "/kept"}, c.at("kept"))
}

func testKeepModeGet(t *testing.T, c *client) {
	c.keepsMode(t, c.keepMode.get, c.at("file"), pair{"/file", "kept"}, c.here("kept"))
}

func (c *client) keepsMode(t *testing.T, do func(*account, ...pair) error, source string, p pair, copied string) {
	t.Helper()
	const mode = 0o604 // a mode that no umask produces
	write(t, source, "file")
	must(t, os.Chmod(source, mode))
	c.judge(t, do(c.account, p), func() {
		holds(t, copied, "file")
		hasMode(t, copied, mode)
	})
}

func hasMode(t *testing.T, file string, mode fs.FileMode) {
	t.Helper()
	st, err := os.Stat(file)
	must(t, err)
	if st.Mode().Perm() != mode {
		t.Errorf("mode %v", st.Mode())
	}
}

func linksTo(t *testing.T, file, target string) {
	t.Helper()
	if got, err := os.Readlink(file); err != nil || got != target {
		t.Errorf("%s is a link to %q, want %q: %v", file, got, target, err)
	}
}

func testList(t *testing.T, c *client) {
	// The directory may be modified temporarily.
	many, want := manyEntries(t)
	must(t, os.Rename(many, c.at("many")))
	t.Cleanup(func() { must(t, os.Rename(c.at("many"), many)) })
	have, err := c.list(c.account, "/many")
	c.judge(t, err, func() {
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("%d names, the first are %q", len(have), have[:min(len(have), 5)])
		}
	})
}

func testNames(names ...string) func(*testing.T, *client) {
	return func(t *testing.T, c *client) {
		var up, down []pair
		for i, name := range names {
			local := fmt.Sprint("n", i)
			write(t, c.here(local), name)
			up, down = append(up, pair{local, "/" + name}), append(down, pair{"/" + name, "back-" + local})
		}
		c.judge(t, c.copy.put(c.account, up...), func() {
			for _, name := range names {
				holds(t, c.at(name), name)
			}
		})
		for i, name := range names {
			c.judge(t, c.copy.get(c.account, down[i]), func() { holds(t, c.here(down[i].to), name) })
		}
		if c.list == nil {
			return
		}
		want := slices.Clone(names)
		if c.shows != nil {
			for i, name := range want {
				want[i] = c.shows(name)
			}
		}
		slices.Sort(want)
		have, err := c.list(c.account, "/")
		c.judge(t, err, func() {
			slices.Sort(have)
			if !slices.Equal(have, want) {
				t.Errorf("listed %q, want %q", have, want)
			}
		})
	}
}

func testSpace(t *testing.T, c *client) {
	var st unix.Statfs_t
	must(t, unix.Statfs(c.remote, &st))
	want := st.Blocks * uint64(st.Frsize)
	have, err := c.space(c.account)
	c.judge(t, err, func() {
		// Clients round to kibibytes, or to a few digits.
		if off := max(have, want) - min(have, want); off > want/50 {
			t.Errorf("%d bytes, want %d", have, want)
		}
	})
}

func testParallel(t *testing.T, c *client) {
	var up, down []pair
	for i := range 8 {
		name := fmt.Sprint("p", i)
		data := bytes.Repeat([]byte{byte('a' + i)}, 1<<20+i)
		write(t, c.here(name), string(data))
		up, down = append(up, pair{name, "/" + name}), append(down, pair{"/" + name, "back-" + name})
	}
	put, get := c.parallel.put, c.parallel.get
	if put == nil {
		put, get = processes(c.copy.put), processes(c.copy.get)
	}
	c.judge(t, put(c.account, up...), func() {
		for _, p := range up {
			holds(t, c.at(p.to), read(t, c.here(p.from)))
		}
	})
	c.judge(t, get(c.account, down...), func() {
		for i, p := range up {
			holds(t, c.here(down[i].to), read(t, c.here(p.from)))
		}
	})
}

// processes copies each file with a separate process, all at the same time.
func processes(do func(*account, ...pair) error) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		ended := make(chan error)
		for _, p := range files {
			go func() { ended <- do(a, p) }()
		}
		var all error
		for range files {
			all = errors.Join(all, <-ended)
		}
		return all
	}
}
