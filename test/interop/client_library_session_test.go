package interop

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

const librarySessionRow = "everything else in one session: directories, attributes, chown and chgrp without changing the other ID, links, refusals"

// sessionSays is what a library reports from its session, in the output format of the scripts.
var sessionSays = []string{
	"stat 1048577 604 981158401", "readlink file", "lstat 120000", "refused rmdir", "refused mkdir", "refused stat", "realpath /d/new",
}

// session returns a row of a library's own names for requests: mkdir, rmdir, stat, lstat, setstat of each kind, symlink,
// readlink, realpath, remove, rename.
func (l library) session() special {
	return special{librarySessionRow, func(t *testing.T, c *client) {
		uid, gid := owner(t, c.remote)
		out, err := l.run(c.account, "session", big, strconv.Itoa(uid), strconv.Itoa(gid))
		c.judge(t, err, func() {
			hasLeft(t, c)
			if haveUID, haveGID := owner(t, c.at("d/new")); haveUID != uid || haveGID != gid {
				t.Errorf("owner %d:%d, want %d:%d", haveUID, haveGID, uid, gid)
			}
			if have := listed(out); err == nil && !slices.Equal(have, sessionSays) {
				t.Errorf("the client saw %q, want %q", have, sessionSays)
			}
		})
	}}
}

// hasLeft checks the files that a session must leave.
func hasLeft(t *testing.T, c *client) {
	t.Helper()
	must(t, sameFiles(c.at("d/new"), c.here(big)))
	hasMode(t, c.at("d/new"), 0o604)
	st, err := os.Stat(c.at("d/new"))
	must(t, err)
	if have := st.ModTime().Unix(); have != 981158401 {
		t.Errorf("modified at %d", have)
	}
	linksTo(t, c.at("d/link"), "file")
	if cut, err := os.Stat(c.at("d/cut")); err != nil || cut.Size() != 5 {
		t.Errorf("%v, %+v", err, cut)
	}
	var names []string
	entries, err := os.ReadDir(c.at("d"))
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"cut", "link", "new"}; !slices.Equal(names, want) {
		t.Errorf("the directory has %q, want %q", names, want)
	}
}

func owner(t *testing.T, file string) (uid, gid int) {
	t.Helper()
	st, err := os.Stat(file)
	must(t, err)
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal(fmt.Sprint("no owner of ", file))
	}
	return int(sys.Uid), int(sys.Gid)
}
