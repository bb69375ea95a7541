package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// TestAdoptionThatFails: what another pod has left stays until all of it is recorded again, whatever prevents that.
func TestAdoptionThatFails(t *testing.T) {
	upload := record{Kind: prepared, Dir: []byte("/none"), Name: []byte("f"), Temp: []byte("t"), Inode: 7, Event: encoded(t, "/f")}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		set  live
		do   func(*running)
		want error
	}{
		"the daemon ends":         {ended, live{maxBytes: 1 << 20}, func(*running) {}, context.Canceled},
		"there is no room":        {t.Context(), live{maxBytes: 2000}, func(r *running) { r.add(t, "team/bob", "/own") }, errNoRoom},
		"records are refused":     {t.Context(), live{maxBytes: 1 << 20}, func(r *running) { r.setFailing(unix.EIO) }, ErrUnavailable},
		"nothing keeps it":        {t.Context(), live{maxBytes: 1 << 20}, func(r *running) { r.add(t, "team/bob", "/own") }, nil},
		"only that it is so much": {t.Context(), live{maxBytes: 2000}, func(*running) {}, nil},
	} {
		base := t.TempDir()
		gone := still(t, base, live{sinks: sinks("a"), maxBytes: 1 << 20})
		for i := range 5 {
			gone.write(t, published(t, fmt.Sprint("/", i)))
		}
		gone.write(t, upload)
		gone.stop()
		c.set.sinks = sinks("a")
		heir := begin(t, logSettings{base: t.TempDir(), pod: "heir", live: c.set})
		eventually(t, "the log is open", heir.canRecord)
		c.do(heir)
		if err := heir.adoptDir(c.ctx, gone.dir); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		_, err := os.Stat(gone.dir)
		if left := err == nil; left != (c.want != nil) {
			t.Errorf("%s: the events are left: %v", name, left)
		}
		if have, _ := heir.read(t, "a", "", false); strings.Contains(have, "/0/1/2/3/4/f") != (c.want == nil) {
			t.Errorf("%s: the heir has %q", name, have)
		}
		if c.want == nil {
			continue
		}
		gone = still(t, base, live{sinks: sinks("a"), maxBytes: 1 << 20})
		gone.expect(t, "a", "/0/1/2/3/4/f")
		gone.stop()
	}
}

// TestDirectoriesOfOtherPods: a directory without a lock is removed if its pod was killed before it wrote anything, but not while
// a pod may be about to create the lock.
func TestDirectoriesOfOtherPods(t *testing.T) {
	base := t.TempDir()
	r := still(t, base, live{sinks: sinks("a"), maxBytes: 1 << 20})
	old := time.Now().Add(-2 * time.Minute)
	for name, age := range map[string]time.Time{"killed": old, "starting": time.Now(), "with-something": old} {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, dirMode); err != nil {
			t.Fatal(err)
		}
		if name == "with-something" {
			if err := os.WriteFile(filepath.Join(dir, "x"), nil, fileMode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(dir, age, age); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(base, "file"), nil, fileMode); err != nil {
		t.Fatal(err)
	}
	r.adoptAll(t.Context(), base)
	entries, err := os.ReadDir(base)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if got := strings.Join(have, " "); got != "file pod-0 starting with-something" {
		t.Errorf("left are %s", got)
	}
}

// logged returns what a log writes to its logger from now on.
func (r *running) logged() func() string {
	var b bytes.Buffer
	r.logger = slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	return func() string {
		defer b.Reset()
		return b.String()
	}
}

// TestAdoptionProblemsAreLogged: an operator learns why events of a pod that is gone are not delivered, and an error of the
// volume is logged only once in a while.
func TestAdoptionProblemsAreLogged(t *testing.T) {
	base := t.TempDir()
	r := still(t, base, live{sinks: sinks("a"), maxBytes: 1 << 20})
	logged := r.logged()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, fileMode); err != nil {
		t.Fatal(err)
	}
	if r.adoptAll(t.Context(), filepath.Join(base, "none")); logged() != "" {
		t.Error("a volume that never had events is a problem")
	}
	if r.adoptAll(t.Context(), file); !strings.Contains(logged(), unix.ENOTDIR.Error()) {
		t.Error("a directory that cannot be read is not logged")
	}
	if r.adoptAll(t.Context(), file); logged() != "" {
		t.Error("it is logged again at once")
	}
	r.errorLogged.Add(-int64(errorLogInterval) - 1)
	if r.adoptAll(t.Context(), file); !strings.Contains(logged(), unix.ENOTDIR.Error()) {
		t.Error("it is not logged again later")
	}
	gone := filepath.Join(base, "gone")
	if err := os.MkdirAll(filepath.Join(gone, lockName), dirMode); err != nil {
		t.Fatal(err)
	}
	if r.adoptAll(t.Context(), base); !strings.Contains(logged(), "pod=gone") {
		t.Error("a pod whose events cannot be adopted is not named")
	}
	if r.adoptAll(t.Context(), base); strings.Contains(logged(), "pod=pod-0") {
		t.Error("it tries to adopt its own events")
	}
}

// TestReceiptProblemsAreLogged: a problem with receipts is logged when it begins, when it changes and when it ends. A failure to
// remove those of one user ends only when all users' were looked at.
func TestReceiptProblemsAreLogged(t *testing.T) {
	r := &running{log: newLog(logSettings{}, nil, nil)}
	logged := r.logged()
	full, broken := error(unix.ENOSPC), error(unix.EIO)
	keeping := func(err error) func() { return func() { r.setKeeping(err) } }
	trimming := func(err error, all bool) func() { return func() { r.setTrimming(err, all) } }
	recording := func(err error) func() { return func() { r.setFailing(err) } }
	for i, step := range []struct {
		do   func()
		want string
	}{
		{keeping(nil), ""},
		{keeping(full), "level=ERROR"},
		{keeping(full), ""},
		{keeping(broken), "level=ERROR"},
		{keeping(nil), "level=INFO"},
		{keeping(nil), ""},
		{trimming(nil, true), ""},
		{trimming(full, false), "level=ERROR"},
		{trimming(broken, false), ""},
		{trimming(nil, false), ""},
		{trimming(broken, true), "level=ERROR"},
		{trimming(nil, true), "level=INFO"},
		{trimming(nil, true), ""},
		{recording(nil), ""},
		{recording(full), "level=ERROR"},
		{recording(full), ""},
		{recording(broken), "level=ERROR"},
		{recording(nil), "level=INFO"},
		{recording(nil), ""},
	} {
		step.do()
		if got := logged(); !strings.HasPrefix(got, step.want) || strings.Count(got, "\n") != min(len(step.want), 1) {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
		if i == 9 && r.trimming == nil {
			t.Error("one user's receipts that could be removed hide another's that could not")
		}
	}
}

// TestNarrow: when the outcome of an upload is known, it goes to those of its sinks that want it. If none does, only the store of
// receipts needs it, if there are any.
func TestNarrow(t *testing.T) {
	for name, c := range map[string]struct {
		kind   kind
		typ    events.Type
		names  []string
		signed bool
		want   string
	}{
		"both sinks":                     {recorded, events.FilePublished, []string{"a", "b"}, false, "a b"},
		"one of them":                    {recorded, events.FilePublished, []string{"b"}, false, "b"},
		"one wants it":                   {recorded, events.FileUploadFailed, []string{"a", "b"}, false, "a"},
		"none wants it":                  {recorded, events.FileUploadFailed, []string{"b"}, false, "nothing"},
		"a sink that is gone":            {recorded, events.FilePublished, []string{"c"}, false, "nothing"},
		"all that want it":               {recorded, events.FilePublished, nil, false, ""},
		"a receipt only":                 {recorded, events.FilePublished, []string{"c"}, true, receiptsSink},
		"a receipt and a sink":           {recorded, events.FilePublished, []string{"a", "c"}, true, "a"},
		"no receipt for a failed upload": {recorded, events.FileUploadFailed, []string{"c"}, true, "nothing"},
	} {
		l := newLog(logSettings{live: live{sinks: sinks("a", "b")}}, nil, nil)
		l.sinks[1].Types = []events.Type{events.FilePublished}
		if c.signed {
			l.signer, _ = testSigner(t)
		}
		r := record{Kind: c.kind, N: 5, Of: 7, User: "team/ada", Type: c.typ, For: c.names, Event: encoded(t, "/f")}
		l.narrow(&r)
		have := strings.Join(r.For, " ")
		if r.Kind == abandoned {
			have = "nothing"
		}
		if have != c.want || r.Of != 7 || r.User != "team/ada" || (r.Kind == abandoned) != (len(r.Event) == 0) {
			t.Errorf("%s: %q, want %q: %+v", name, have, c.want, r)
		}
	}
}
