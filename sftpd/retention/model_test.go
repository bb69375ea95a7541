package retention

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

const age = config.MinRetentionSeconds * time.Second

// volume is a directory with files. Each has a number as its content, by which the test finds it wherever it is.
type volume struct {
	t    testing.TB
	dir  string
	path map[int]string // of each file when it was made
	old  map[int]bool
	cut  time.Time // between those that are old and the others

	mu   sync.Mutex
	next int
}

func newVolume(t testing.TB) *volume {
	t.Helper()
	return &volume{t: t, dir: t.TempDir(), path: map[int]string{}, old: map[int]bool{}}
}

func (v *volume) make(path string) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next++
	full := filepath.Join(v.dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
		v.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(strconv.Itoa(v.next)), 0o600); err != nil {
		v.t.Fatal(err)
	}
	v.path[v.next], v.old[v.next] = path, v.cut.IsZero()
}

// age makes all files of before old.
func (v *volume) age() {
	time.Sleep(30 * time.Millisecond) // the kernel's clock for files has ticks of up to 10 ms
	v.cut = time.Now()
	time.Sleep(30 * time.Millisecond)
}

// left returns the numbers of the files that exist.
func (v *volume) left(dir string) map[int]bool {
	v.t.Helper()
	out := map[int]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ownPrefix) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(data))
		out[n] = true
		return err
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return out
}

// job is a run of a rule on the volume, with the time at which the old files are due.
func (v *volume) job(rule config.RetentionRule, held ...string) (*run, *[]event.FileExpired) {
	v.t.Helper()
	dir, err := openVolume(v.dir)
	if err != nil {
		v.t.Fatal(err)
	}
	h, err := resolve(dir, held)
	if err != nil {
		v.t.Fatal(err)
	}
	if rule.DeleteAfterSeconds == 0 {
		rule.DeleteAfterSeconds = int64(age / time.Second)
	}
	var found []event.FileExpired
	p := newPace()
	p.sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return &run{
		rule: rule, volume: dir, now: v.cut.Add(age), holds: &h, pace: p, openByUser: func(string) bool { return false },
		steady: func() error { return nil },
		found: func(e event.FileExpired) error {
			found = append(found, e)
			return nil
		},
	}, &found
}

func (v *volume) run(r *run, directories ...string) {
	v.t.Helper()
	for _, d := range directories {
		c, err := r.count(v.t.Context(), Directory{Path: d})
		if err != nil {
			v.t.Fatal(err)
		}
		files, _ := c.Deletable()
		if err := r.delete(v.t.Context(), Budget{c, files}); err != nil {
			v.t.Fatal(err)
		}
	}
}

func (v *volume) expect(want string) {
	v.t.Helper()
	var got []string
	for n := range v.left(v.dir) {
		got = append(got, v.path[n])
	}
	for path := range strings.FieldsSeq(want) {
		if _, err := os.Lstat(filepath.Join(v.dir, path)); err != nil {
			v.t.Errorf("%s is gone", path)
		}
	}
	if len(got) != len(strings.Fields(want)) {
		v.t.Errorf("remain %q, want %s", got, want)
	}
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name      string
		rule      config.RetentionRule
		old, new  string
		in        string
		held, hit string
		remain    string
	}{
		{name: "old files go, new ones stay", old: "in/a in/b/c out/d", new: "in/e", in: "in", remain: "out/d in/e"},
		{name: "match", rule: config.RetentionRule{Match: []string{"*.csv", "*.txt"}}, old: "in/a.csv in/b.txt in/c.pdf", in: "in", remain: "in/c.pdf"},
		{name: "a name that only begins alike", old: "in/a in2/b", in: "in", remain: "in2/b"},
		{name: "the newest stay", rule: config.RetentionRule{KeepNewest: 1}, old: "in/a in/b", new: "in/c", in: "in", remain: "in/c"},
		{name: "more are kept than there are", rule: config.RetentionRule{KeepNewest: 5}, old: "in/a in/b", new: "in/c", in: "in", remain: "in/a in/b in/c"},
		{name: "a held directory", old: "ns/u/a ns/u/case/b ns/u/case/x/c ns/u/case2/d", in: "ns/u", held: "ns/u/case", remain: "ns/u/case/b ns/u/case/x/c"},
		{name: "below a held directory", old: "ns/u/a ns/v/b", in: "ns/u", held: "ns", remain: "ns/u/a ns/v/b"},
		{name: "a held directory that is not there holds its namespace", old: "ns/u/a other/u/b", in: "", held: "ns/u/case", remain: "ns/u/a"},
		{name: "a held volume", old: "ns/u/a", in: "", held: ".", remain: "ns/u/a"},
		{name: "the daemon's own files", old: "in/.sftpd-upload.x in/.sftpd-codes in/.nfs001 in/a", in: "in", remain: "in/.sftpd-upload.x in/.sftpd-codes in/.nfs001"},
		{name: "the daemon's own directories", old: ".sftpd-events/a .sftpd-codes/b in/a", in: "", remain: ".sftpd-events/a .sftpd-codes/b"},
		{name: "nothing there", old: "out/a", in: "in", remain: "out/a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVolume(t)
			for path := range strings.FieldsSeq(c.old) {
				v.make(path)
			}
			v.age()
			for path := range strings.FieldsSeq(c.new) {
				v.make(path)
			}
			var held []string
			if c.held != "" {
				held = append(held, strings.TrimPrefix(c.held, "."))
			}
			r, found := v.job(c.rule, held...)
			v.run(r, c.in)
			v.expect(c.remain)
			if want := v.next - len(strings.Fields(c.remain)); len(*found) != want || int(r.deleted) != want {
				t.Errorf("%d events and %d deleted for %d files", len(*found), r.deleted, want)
			}
		})
	}
}

// A budget is never exceeded, whatever appears after the files were counted.
func TestBudget(t *testing.T) {
	v := newVolume(t)
	for i := range 20 {
		v.make(fmt.Sprint("in/", i))
	}
	v.age()
	r, _ := v.job(config.RetentionRule{})
	c, err := r.count(t.Context(), Directory{Path: "in"})
	if err != nil || c.Due != 20 || c.Bytes == 0 {
		t.Fatalf("%+v %v", c, err)
	}
	if err := r.delete(t.Context(), Budget{c, 7}); err != nil || r.deleted != 7 || len(v.left(v.dir)) != 13 {
		t.Errorf("%v, %d deleted, %d left", err, r.deleted, len(v.left(v.dir)))
	}
}

// A directory that a client moves out of the rule's while it is being worked on takes its files along.
func TestDirectoryThatMoves(t *testing.T) {
	v := newVolume(t)
	v.make("in/sub/a")
	v.make("in/sub/b")
	if err := os.Mkdir(filepath.Join(v.dir, "out"), 0o750); err != nil {
		t.Fatal(err)
	}
	v.age()
	r, found := v.job(config.RetentionRule{})
	r.steady = sync.OnceValue(func() error {
		err := os.Rename(filepath.Join(v.dir, "in/sub"), filepath.Join(v.dir, "out/sub"))
		return errors.Join(err, os.Mkdir(filepath.Join(v.dir, "in/sub"), 0o750)) // another one in its place
	})
	v.run(r, "in")
	v.expect("out/sub/a out/sub/b")
	if len(*found) != 0 {
		t.Errorf("%v", *found)
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	v := newVolume(t)
	v.make("out/a")
	v.make("in/b")
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "c"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"in/dir": "../out", "in/file": "../out/a", "in/abs": outside, "in/up": "..", "rule": "out", "hard": ""} {
		if target == "" {
			continue
		}
		if err := os.Symlink(target, filepath.Join(v.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(v.dir, "out/a"), filepath.Join(v.dir, "in/hard")); err != nil {
		t.Fatal(err)
	}
	v.age()
	r, _ := v.job(config.RetentionRule{})
	v.run(r, "in", "rule", "rule/x", "in/dir")
	v.expect("out/a") // one name of the file with two
	for _, link := range []string{"in/dir", "in/file", "in/abs", "rule"} {
		if _, err := os.Lstat(filepath.Join(v.dir, link)); err != nil {
			t.Errorf("link %s: %v", link, err)
		}
	}
	if _, err := os.Stat(filepath.Join(outside, "c")); err != nil {
		t.Error(err)
	}
}

// A client can remove the permissions of its own directories, or make them too deep. That affects no one else's.
func TestDirectoriesThatCannotBeEntered(t *testing.T) {
	v := newVolume(t)
	v.make("in/closed/a")
	v.make("in/unsearchable/b")
	deep := "in" + strings.Repeat("/d", maxDepth+3)
	v.make(deep + "/c")
	v.make("in/e")
	for dir, mode := range map[string]os.FileMode{"in/closed": 0, "in/unsearchable": 0o400} {
		if err := os.Chmod(filepath.Join(v.dir, dir), mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(filepath.Join(v.dir, dir), 0o700) }) // so that it can be removed
	}
	v.age()
	r, _ := v.job(config.RetentionRule{})
	c, err := r.count(t.Context(), Directory{Path: "in"})
	if err != nil || c.Skipped == 0 {
		t.Errorf("%+v %v", c, err)
	}
	v.run(r, "in")
	for _, dir := range []string{"in/closed", "in/unsearchable"} {
		_ = os.Chmod(filepath.Join(v.dir, dir), 0o700)
	}
	want := deep + "/c"
	if os.Geteuid() != 0 {
		want += " in/closed/a in/unsearchable/b"
	}
	v.expect(want)
}

func TestEmptyDirectories(t *testing.T) {
	v := newVolume(t)
	v.make("in/full/a")
	for _, dir := range []string{"in/empty/below", "in/home", "in/gone"} {
		if err := os.MkdirAll(filepath.Join(v.dir, dir), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	v.age()
	v.make("in/full/b")
	if err := os.Mkdir(filepath.Join(v.dir, "in/young"), 0o750); err != nil {
		t.Fatal(err)
	}
	r, found := v.job(config.RetentionRule{EmptyDirectories: true})
	r.openByUser = func(path string) bool { return path == "in/home" }
	v.run(r, "in")
	v.expect("in/full/b")
	// What was emptied just now is young.
	for path, want := range map[string]bool{"in/full": true, "in/home": true, "in/young": true, "in/empty": true, "in/empty/below": false, "in/gone": false} {
		if v.exists(path) != want {
			t.Errorf("%s is there: %v", path, !want)
		}
	}
	directories := 0
	for _, e := range *found {
		if e.Directory {
			directories++
		}
	}
	if directories != 2 || len(*found) != 3 {
		t.Errorf("%+v", *found)
	}
}

func (v *volume) exists(path string) bool {
	_, err := os.Lstat(filepath.Join(v.dir, path))
	return err == nil
}

// Whatever clients do during a run, a file is deleted only if it is old, matches, and was below the rule's directory; and
// each one that is gone has an event.
func TestAgainstClients(t *testing.T) {
	const seeds, enough = 12, 600
	deleted := 0
	// How many are deleted depends on how often the clients have moved the directories away.
	for seed := uint64(0); seed < seeds || deleted < enough; seed++ {
		if seed == 10*seeds {
			t.Fatalf("only %d files were deleted: the test shows nothing", deleted)
		}
		v := newVolume(t)
		random := rand.New(rand.NewPCG(seed, 2))
		for i := range 300 {
			dir := []string{"in", "in/a", "in/a/b", "in/c", "out", "out/a", "other"}[random.IntN(7)]
			v.make(fmt.Sprintf("%s/%d%s", dir, i, []string{".csv", ".pdf"}[random.IntN(2)]))
		}
		v.age()
		ctx, cancel := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for c := range 3 {
			clients.Go(func() { v.client(ctx, rand.New(rand.NewPCG(seed, uint64(c)+10))) })
		}
		r, found := v.job(config.RetentionRule{Match: []string{"*.csv"}})
		for range 3 {
			c, err := r.count(ctx, Directory{Path: "in"})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.delete(ctx, Budget{c, 1000}); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		clients.Wait()
		deleted += v.check(*found)
	}
}

// client moves directories within, out of and back into the rule's, puts links in their place, and publishes files over old
// ones, until ctx ends.
func (v *volume) client(ctx context.Context, random *rand.Rand) {
	at := func(path string) string { return filepath.Join(v.dir, path) }
	for i := 0; ctx.Err() == nil; i++ {
		switch random.IntN(6) {
		case 0:
			_ = os.Rename(at("in/a"), at("moved"))
			_ = os.Symlink("../other", at("in/a"))
		case 1:
			if fi, err := os.Lstat(at("in/a")); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
				_ = os.Remove(at("in/a"))
			}
			_ = os.Rename(at("moved"), at("in/a"))
		case 2:
			_ = os.Rename(at("in/c"), at("out/c"))
		case 3:
			_ = os.Rename(at("out/c"), at("in/c"))
		case 4: // a new file takes the place of one that is due; the old one ends by that
			v.publish(fmt.Sprintf("in/%d.csv", random.IntN(300)))
		case 5:
			v.publish(fmt.Sprintf("in/new%d.csv", i%50))
		}
	}
}

// publish puts a new file under a name, as an upload does.
func (v *volume) publish(path string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before, _ := os.ReadFile(filepath.Join(v.dir, path))
	v.next++
	temp := filepath.Join(v.dir, fmt.Sprint("temp", v.next))
	if os.WriteFile(temp, []byte(strconv.Itoa(v.next)), 0o600) != nil {
		return
	}
	if os.Rename(temp, filepath.Join(v.dir, path)) != nil {
		_ = os.Remove(temp)
		return
	}
	v.path[v.next] = path
	if n, err := strconv.Atoi(string(before)); err == nil {
		v.path[n] = "" // it may have been replaced, or deleted before
	}
}

// check compares what is left with what was reported, and returns the number of files that were deleted.
func (v *volume) check(found []event.FileExpired) int {
	v.t.Helper()
	left, gone := v.left(v.dir), 0
	for n, path := range v.path {
		switch {
		case left[n]:
		case path == "": // replaced by a client
		case !v.old[n]:
			v.t.Errorf("%s was deleted, and is new", path)
		case !strings.HasSuffix(path, ".csv"):
			v.t.Errorf("%s was deleted, and does not match", path)
		case strings.HasPrefix(path, "other/"), strings.HasPrefix(path, "out/") && !strings.HasPrefix(path, "out/c"):
			v.t.Errorf("%s was deleted, and was never below the directory", path)
		default:
			gone++
		}
	}
	if gone > len(found) {
		v.t.Errorf("%d files are gone, with %d events", gone, len(found))
	}
	for _, e := range found {
		if !strings.HasPrefix(e.Path, "in/") || !strings.HasSuffix(e.Path, ".csv") || e.Uploaded.After(v.cut) {
			v.t.Errorf("%+v", e)
		}
	}
	return gone
}
