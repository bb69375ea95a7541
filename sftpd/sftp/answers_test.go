package sftp

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	_ "time/tzdata" // TestLongNameZone

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestEachRequestHasOneAnswer: whether a request succeeds, fails or is malformed, it has exactly one answer, of a type that the
// request can have. A second one would be mistaken for that of another request.
func TestEachRequestHasOneAnswer(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("d", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	c, _, _ := dialRaw(t, tr, Options{})
	file, listing := c.open("/f", flagRead|flagWrite|flagCreate), c.opendir("/d")
	const long = "/none/none"
	done := map[string]bool{"MKDIR": true, "CLOSE": true}
	for _, tc := range []struct {
		name  string
		typ   byte
		parts []any
		want  byte
	}{
		{"REALPATH", typeRealpath, []any{"/d/.."}, typeName},
		{"REALPATH of nothing", typeRealpath, []any{long}, typeStatus},
		{"REALPATH without a path", typeRealpath, nil, typeStatus},
		{"expand-path", typeExtended, []any{"expand-path@openssh.com", "~/d"}, typeName},
		{"expand-path of nothing", typeExtended, []any{"expand-path@openssh.com", long}, typeStatus},
		{"READLINK", typeReadlink, []any{"/l"}, typeName},
		{"READLINK of a directory", typeReadlink, []any{"/d"}, typeStatus},
		{"STAT", typeStat, []any{"/l"}, typeAttrs},
		{"STAT of nothing", typeStat, []any{long}, typeStatus},
		{"LSTAT", typeLstat, []any{"/l"}, typeAttrs},
		{"LSTAT of nothing", typeLstat, []any{long}, typeStatus},
		{"FSTAT", typeFstat, []any{file}, typeAttrs},
		{"FSTAT of a directory", typeFstat, []any{listing}, typeAttrs},
		{"FSTAT of nothing", typeFstat, []any{"12345678"}, typeStatus},
		{"READ", typeRead, []any{file, uint64(0), 1}, typeStatus},
		{"READ of a directory", typeRead, []any{listing, uint64(0), 1}, typeStatus},
		{"READDIR", typeReaddir, []any{listing}, typeName},
		{"READDIR at the end", typeReaddir, []any{listing}, typeStatus},
		{"READDIR at the end, again", typeReaddir, []any{listing}, typeStatus},
		{"READDIR of a file", typeReaddir, []any{file}, typeStatus},
		{"OPEN of nothing", typeOpen, []any{long, flagRead, 0}, typeStatus},
		{"OPENDIR of a file", typeOpendir, []any{"/f"}, typeStatus},
		{"statvfs", typeExtended, []any{"statvfs@openssh.com", "/d"}, typeExtendedReply},
		{"statvfs of nothing", typeExtended, []any{"statvfs@openssh.com", long}, typeStatus},
		{"fstatvfs", typeExtended, []any{"fstatvfs@openssh.com", file}, typeExtendedReply},
		{"limits", typeExtended, []any{"limits@openssh.com"}, typeExtendedReply},
		{"an unknown extension", typeExtended, []any{"none@example.com"}, typeStatus},
		{"an unknown request", 99, nil, typeStatus},
		{"MKDIR", typeMkdir, []any{"/d2", 0}, typeStatus},
		{"CLOSE", typeClose, []any{listing}, typeStatus},
		{"CLOSE, again", typeClose, []any{listing}, typeStatus},
	} {
		got, f := c.call(tc.typ, tc.parts...)
		if got != tc.want {
			t.Errorf("%s is answered with type %d, want %d", tc.name, got, tc.want)
		}
		if got == typeStatus && (Status(f.uint32()) == StatusOK) != done[tc.name] {
			t.Errorf("%s is answered with success: %v", tc.name, !done[tc.name])
		}
		// call fails if the next answer is not that of the next request.
		if got, f := c.call(typeLstat, "/f"); got != typeAttrs {
			t.Errorf("after %s, a file has no attributes: %s", tc.name, Status(f.uint32()))
		}
	}
}

// name is an entry of an SSH_FXP_NAME.
type name struct {
	name, long string
	attrs      vfs.Changes
}

// names decodes an SSH_FXP_NAME (filexfer-02, section 7), and fails if it has less or more than that.
func (c *raw) names(typ byte, parts ...any) (all []name) {
	c.t.Helper()
	got, f := c.call(typ, parts...)
	if got != typeName {
		c.t.Fatalf("answered with type %d: %s", got, Status(f.uint32()))
	}
	for range f.uint32() {
		all = append(all, name{f.string(), f.string(), f.attrs()})
	}
	if f.bad || len(f.rest) > 0 {
		c.t.Fatalf("the answer has %d bytes too many, or too few (%v): %+v", len(f.rest), f.bad, all)
	}
	return all
}

// TestNames: the packets of names are those of the draft, byte by byte.
func TestNames(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d/file"), []byte("12345"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../d/file", filepath.Join(dir, "d/l")); err != nil {
		t.Fatal(err)
	}
	c, _, _ := dialRaw(t, tr, Options{})
	for what, got := range map[string][]name{
		"/d/file":   c.names(typeRealpath, "d/l"),
		"/d":        c.names(typeExtended, "expand-path@openssh.com", "~/d/."),
		"../d/file": c.names(typeReadlink, "/d/l"),
	} {
		if len(got) != 1 || got[0] != (name{what, what, vfs.Changes{}}) {
			t.Errorf("have %+v, want %s", got, what)
		}
	}
	var all []string
	for _, e := range c.names(typeReaddir, c.opendir("/d")) {
		all = append(all, e.name)
		if !strings.HasSuffix(e.long, " "+e.name) || e.attrs.Set != vfs.SetSize|vfs.SetOwner|vfs.SetMode|vfs.SetTimes {
			t.Errorf("%+v", e)
		}
		if e.name == "file" && (e.attrs.Size != 5 || e.attrs.Mode != 0o100640 || !strings.HasPrefix(e.long, "-rw-r----- ")) {
			t.Errorf("%+v", e)
		}
	}
	slices.Sort(all)
	if want := []string{".", "..", "file", "l"}; !slices.Equal(all, want) {
		t.Errorf("listed %q, want %q", all, want)
	}
}

// TestLongNameModes compares the letters of all permissions with those of package fs, where each is on its own.
func TestLongNameModes(t *testing.T) {
	for mode := range uint32(0o10000) {
		want := []byte(fs.FileMode(mode & 0o777).String()[1:])
		for _, bit := range []struct {
			mode      uint32
			at        int
			both, own byte
		}{{0o4000, 2, 's', 'S'}, {0o2000, 5, 's', 'S'}, {0o1000, 8, 't', 'T'}} {
			switch {
			case mode&bit.mode == 0:
			case want[bit.at] == 'x':
				want[bit.at] = bit.both
			default:
				want[bit.at] = bit.own
			}
		}
		if got := appendMode(nil, 0o100000|mode); got[0] != '-' || !bytes.Equal(got[1:], want) {
			t.Fatalf("%o is %s, want -%s", mode, got, want)
		}
	}
}

// TestLongNameZone: times are in UTC, whatever the zone of the process. That is fixed when a process starts, so the tests that
// compare times run again in another one.
func TestLongNameZone(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^(TestLongName|TestLongNameTimes|TestHalfAYear)$", "-test.v")
	cmd.Env = append(os.Environ(), "TZ=Pacific/Kiritimati") // 14 hours ahead
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 3 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestWhyServeEnds: a session that is ended from outside has that reason, also where its stream is closed for it and fails
// with an error of its own; one that the client ends has none.
func TestWhyServeEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(cancel context.CancelFunc, client net.Conn)
		want error
	}{
		"from outside":  {func(cancel context.CancelFunc, _ net.Conn) { cancel() }, context.Canceled},
		"by the client": {func(_ context.CancelFunc, client net.Conn) { client.Close() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tr, _ := tree(t, vfs.ReadWrite)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			near, far := net.Pipe()
			defer near.Close()
			ended := make(chan error, 1)
			go func() { ended <- Serve(ctx, far, tr, Options{}) }()
			c := &raw{t: t, conn: near}
			c.write(packet(typeInit, uint32(3)))
			c.read()
			tc.end(cancel, near)
			if err := <-ended; !errors.Is(err, tc.want) {
				t.Errorf("ended with %v, want %v", err, tc.want)
			}
		})
	}
}
