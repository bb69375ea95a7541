package interop

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// behaviour is a row of the table: what a client does, and how it is checked. Each starts with an
// empty home, and a local directory of its own.
type behaviour struct {
	name string
	// has says whether the driver has what the test needs. Nil is for all.
	has  func(*driver) bool
	test func(*testing.T, *driver, *account)
}

// behaviours are the rows, but those of logins.
func behaviours() []behaviour {
	return []behaviour{
		{"round trips by SHA-256: 0, 1, 32767, 32768, 32769, 1 MiB + 1, 300 MiB", nil, testRoundTrips},
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
		{"mode kept, upload", func(d *driver) bool { return d.keepMode.put != nil }, testKeepModePut},
		{"mode kept, download", func(d *driver) bool { return d.keepMode.get != nil }, testKeepModeGet},
		{"list 20,000 entries", func(d *driver) bool { return d.list != nil }, testList},
		{unicodeNames, nil, testNames("naïve ☃ 日本語 é.txt", "with space", "quote'\"s", "-dash", "[glob]*?", "back\\slash")},
		{latin1Names, nil, testNames("caf\xe9")},
		{longNames, nil, testNames(strings.Repeat("n", 255))},
		{"size of the file system (statvfs)", func(d *driver) bool { return d.space != nil }, testSpace},
		{"transfers in parallel", nil, testParallel},
	}
}

const (
	unicodeNames = "Unicode names, and those with spaces, quotes, globs"
	latin1Names  = "names that are not UTF-8 (Latin-1)"
	longNames    = "names of 255 bytes"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testRoundTrips(t *testing.T, d *driver, a *account) {
	var up, down []pair
	for _, size := range sizes {
		name := fmt.Sprintf("f-%d", size)
		bring(t, a.local, name)
		up, down = append(up, pair{name, "/" + name}), append(down, pair{"/" + name, "back-" + name})
	}
	must(t, d.copy.put(a, up...))
	for _, p := range up {
		if have := fileSum(t, a.at(p.to)); have != fixtures.sums[p.from] {
			t.Errorf("%s was put with SHA-256 %s, not %s", p.from, have, fixtures.sums[p.from])
		}
	}
	must(t, d.copy.get(a, down...))
	for _, p := range down {
		if have, want := fileSum(t, a.here(p.to)), fixtures.sums[filepath.Base(p.from)]; have != want {
			t.Errorf("%s was got with SHA-256 %s, not %s", p.from, have, want)
		}
	}
}

func testMissing(t *testing.T, d *driver, a *account) {
	if err := d.copy.get(a, pair{"/nothing", "nothing"}); err == nil {
		t.Error("the client got a file that is not there")
	}
	if data, err := os.ReadFile(a.here("nothing")); err == nil && len(data) > 0 {
		t.Errorf("it holds %q", data)
	}
}

// partLength is how much of big is there already. It is no multiple of anything.
const partLength = 300001

func testResumePut(t *testing.T, d *driver, a *account) {
	bring(t, a.local, big)
	data := read(t, a.here(big))
	write(t, a.at("part"), data[:partLength])
	must(t, d.resume.put(a, pair{big, "/part"}))
	holds(t, a.at("part"), data)
}

func testResumeGet(t *testing.T, d *driver, a *account) {
	bring(t, a.local, big)
	data := read(t, a.here(big))
	write(t, a.at("all"), data)
	write(t, a.here("part"), data[:partLength])
	must(t, d.resume.get(a, pair{"/all", "part"}))
	holds(t, a.here("part"), data)
}

func testAppend(t *testing.T, d *driver, a *account) {
	bring(t, a.local, big)
	data := read(t, a.here(big))
	write(t, a.at("log"), "what was there\n")
	must(t, d.appendTo(a, big, "/log"))
	holds(t, a.at("log"), "what was there\n"+data)
}

func testMirrorUp(t *testing.T, d *driver, a *account) {
	makeTree(t, a.here("tree"))
	must(t, d.mirror.put(a, pair{"tree", "/up"}))
	sameTrees(t, a.at("up"), a.here("tree"), d.links, false)
}

func testMirrorDown(t *testing.T, d *driver, a *account) {
	makeTree(t, a.at("tree"))
	must(t, d.mirror.get(a, pair{"/tree", "down"}))
	sameTrees(t, a.here("down"), a.at("tree"), d.links, true)
}

func testUpdate(t *testing.T, d *driver, a *account) {
	makeTree(t, a.here("tree"))
	must(t, d.mirror.put(a, pair{"tree", "/up"}))
	write(t, a.here("tree/sub/new"), "new")
	must(t, os.Remove(a.here("tree/empty")))
	before := changed(t, a.at("up/sub/big"))
	must(t, d.update(a, pair{"tree", "/up"}))
	sameTrees(t, a.at("up"), a.here("tree"), d.links, false)
	if after := changed(t, a.at("up/sub/big")); after != before {
		t.Errorf("a file that did not change was sent again: change time %v, was %v", after, before)
	}
}

// changed is the last change of a file or its attributes, which no client can set.
func changed(t *testing.T, file string) unix.Timespec {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(file, &st))
	return st.Ctim
}

func testRename(t *testing.T, d *driver, a *account) {
	write(t, a.at("old"), "old")
	must(t, os.Mkdir(a.at("d"), 0o755))
	must(t, d.rename(a, "/old", "/d/new"))
	holds(t, a.at("d/new"), "old")
	if _, err := os.Lstat(a.at("old")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old name: %v", err)
	}
	if d.replace != nil {
		return
	}
	// What the client lacks is shown here: its rename is refused, and harms nothing.
	write(t, a.at("other"), "other")
	if err := d.rename(a, "/other", "/d/new"); err == nil {
		t.Error("the client replaces files with its rename")
	}
	holds(t, a.at("d/new"), "old")
	holds(t, a.at("other"), "other")
}

func testReplace(t *testing.T, d *driver, a *account) {
	write(t, a.at("old"), "the old one")
	write(t, a.at("new"), "new")
	must(t, d.replace(a, "/old", "/new"))
	holds(t, a.at("new"), "the old one")
	if _, err := os.Lstat(a.at("old")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old name: %v", err)
	}
}

// past is a time of whole seconds, as version 3 of the protocol has.
var past = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func testKeepTimePut(t *testing.T, d *driver, a *account) {
	keepTime(t, a, d.keepTime.put, a.here("file"), pair{"file", "/kept"}, a.at("kept"))
}

func testKeepTimeGet(t *testing.T, d *driver, a *account) {
	keepTime(t, a, d.keepTime.get, a.at("file"), pair{"/file", "kept"}, a.here("kept"))
}

func keepTime(t *testing.T, a *account, do func(*account, ...pair) error, source string, p pair, copied string) {
	t.Helper()
	write(t, source, "file")
	must(t, os.Chtimes(source, past, past))
	must(t, do(a, p))
	holds(t, copied, "file")
	if st, err := os.Stat(copied); err != nil || !st.ModTime().Equal(past) {
		t.Errorf("%v, modified %v", err, st.ModTime())
	}
}

func testKeepModePut(t *testing.T, d *driver, a *account) {
	keepMode(t, a, d.keepMode.put, a.here("file"), pair{"file", "/kept"}, a.at("kept"))
}

func testKeepModeGet(t *testing.T, d *driver, a *account) {
	keepMode(t, a, d.keepMode.get, a.at("file"), pair{"/file", "kept"}, a.here("kept"))
}

func keepMode(t *testing.T, a *account, do func(*account, ...pair) error, source string, p pair, copied string) {
	t.Helper()
	const mode = 0o604 // that no umask gives
	write(t, source, "file")
	must(t, os.Chmod(source, mode))
	must(t, do(a, p))
	holds(t, copied, "file")
	if st, err := os.Stat(copied); err != nil || st.Mode().Perm() != mode {
		t.Errorf("%v, mode %v", err, st.Mode())
	}
}

func testList(t *testing.T, d *driver, a *account) {
	// The directory is on loan.
	many, want := manyEntries(t)
	must(t, os.Rename(many, a.at("many")))
	t.Cleanup(func() { must(t, os.Rename(a.at("many"), many)) })
	have, err := d.list(a, "/many")
	must(t, err)
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("%d names, the first are %q", len(have), have[:min(len(have), 5)])
	}
}

func testNames(names ...string) func(*testing.T, *driver, *account) {
	return func(t *testing.T, d *driver, a *account) {
		var up, down []pair
		for i, name := range names {
			local := fmt.Sprint("n", i)
			write(t, a.here(local), name)
			up, down = append(up, pair{local, "/" + name}), append(down, pair{"/" + name, "back-" + local})
		}
		must(t, d.copy.put(a, up...))
		for i, name := range names {
			holds(t, a.at(name), name)
			must(t, d.copy.get(a, down[i]))
			holds(t, a.here(down[i].to), name)
		}
		if d.list == nil {
			return
		}
		have, err := d.list(a, "/")
		must(t, err)
		want := slices.Clone(names)
		if d.shows != nil {
			for i, name := range want {
				want[i] = d.shows(name)
			}
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("listed %q, want %q", have, want)
		}
	}
}

func testSpace(t *testing.T, d *driver, a *account) {
	var st unix.Statfs_t
	must(t, unix.Statfs(a.remote, &st))
	want := st.Blocks * uint64(st.Frsize)
	have, err := d.space(a)
	must(t, err)
	// Clients round to kibibytes, or to a few digits.
	if off := max(have, want) - min(have, want); off > want/50 {
		t.Errorf("%d bytes, want %d", have, want)
	}
}

func testParallel(t *testing.T, d *driver, a *account) {
	var up, down []pair
	for i := range 8 {
		name := fmt.Sprint("p", i)
		data := bytes.Repeat([]byte{byte('a' + i)}, 1<<20+i)
		write(t, a.here(name), string(data))
		up, down = append(up, pair{name, "/" + name}), append(down, pair{"/" + name, "back-" + name})
	}
	put, get := d.parallel.put, d.parallel.get
	if put == nil {
		put, get = processes(d.copy.put), processes(d.copy.get)
	}
	must(t, put(a, up...))
	must(t, get(a, down...))
	for i, p := range up {
		holds(t, a.at(p.to), read(t, a.here(p.from)))
		holds(t, a.here(down[i].to), read(t, a.here(p.from)))
	}
}

// processes copies each file with a process of its own, all at the same time.
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
