package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// selecting has sinks for all users and for selected ones.
func selecting(t *testing.T) *config.Listener {
	t.Helper()
	dir := configtest.New(t)
	some := config.EventSink{Name: "some", Types: []events.Type{events.FilePublished, events.LoginRefused, events.KeyExpiring}, Selected: true}
	failed := config.EventSink{Name: "failed", Types: []events.Type{events.FileUploadFailed}, Selected: true}
	dir.RecordEvents(sinkOf("all", events.Types()...), some, failed)
	dir.Listener.Uploads.Publish = config.PublishOnClose
	return &dir.Listener
}

// chosen are the sinks that select users, by account.
func chosen(account string) []string {
	return map[string][]string{"team/ada": {"some", "failed"}, "team/bob": {"failed"}}[account]
}

// of returns the accounts of the events that a sink has.
func of(t *testing.T, b *Box, sink string) string {
	t.Helper()
	var have []string
	o := b.current.Load()
	raw, err := o.lines(sink, "", events.MaxLimit, false)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := events.ParseLines(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		e, err := events.Decode(l.Event)
		if err != nil {
			t.Fatal(err)
		}
		kind := strings.TrimSuffix(strings.TrimPrefix(string(e.Type), "io.sftp-operator."), ".v1")
		have = append(have, strings.TrimPrefix(e.Data.User, "team/")+":"+kind)
	}
	return strings.Join(have, " ")
}

func start(t *testing.T, l *config.Listener, pod string) (box *Box, stop func()) {
	t.Helper()
	b := New(Options{Pod: pod, Log: slog.New(slog.DiscardHandler)})
	b.Configure(l, chosen, nil)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); b.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	eventually(t, "the log is open", func() bool { return b.current.Load().canRecord() })
	return b, stop
}

// TestSelectedUsers: a sink that selects users gets the events of these, also after a restart, and those of peers who have not
// logged in only if they name one of them.
func TestSelectedUsers(t *testing.T) {
	l := selecting(t)
	b, stop := start(t, l, "pod-0")
	for _, user := range []string{"ada", "bob", "eve"} {
		c := &event.Connection{Account: "team/" + user, User: user}
		o, err := b.Journal(c).Publishing(&vfs.Publication{Path: "/f", Dir: "/", Name: "f"})
		if err == nil {
			err = o.Published()
		}
		if err != nil {
			t.Fatal(err)
		}
		b.Emit(event.LoginRefused{Connection: c, Reason: event.UnknownUser})
		b.Emit(event.Operation{Connection: c, Operation: "mkdir", Path: "/d", Result: event.OK})
	}
	b.Emit(event.LoginRefused{Connection: &event.Connection{User: "ada"}, Reason: event.UnknownUser})
	check := func(when string, b *Box) {
		t.Helper()
		if got := of(t, b, "some"); got != "ada:file.published ada:login.refused" {
			t.Errorf("%s: %s", when, got)
		}
		if got := of(t, b, "failed"); got != "" {
			t.Errorf("%s: %s", when, got)
		}
		if got := of(t, b, "all"); strings.Count(got, " ") != 9 {
			t.Errorf("%s: %s", when, got)
		}
	}
	eventually(t, "all are recorded", func() bool { st, _ := b.Status(); return st.Written == 10 })
	check("at once", b)
	stop()
	b, stop = start(t, l, "pod-0")
	check("after a restart", b)
	stop()
	b, _ = start(t, l, "pod-1")
	eventually(t, "the other pod's events are adopted", func() bool { st, _ := b.Status(); return st.Sinks[0].Pending == 10 })
	check("adopted", b)
}

// TestSelectedUsersAndKills: what a kill leaves open becomes an event for the sinks that want the outcome, of the users that they
// have selected.
func TestSelectedUsersAndKills(t *testing.T) {
	l := selecting(t)
	b, stop := start(t, l, "pod-0")
	for _, user := range []string{"ada", "bob", "eve"} {
		c := &event.Connection{Account: "team/" + user, User: user}
		if _, err := b.Journal(c).Publishing(&vfs.Publication{Path: "/f", Dir: "/none", Name: "f", Temp: "t", Inode: 7}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	b, _ = start(t, l, "pod-0")
	eventually(t, "all are settled", func() bool { st, _ := b.Status(); return st.Sinks[0].Pending == 3 })
	for sink, want := range map[string]string{
		"all":    "ada:file.upload.failed bob:file.upload.failed eve:file.upload.failed",
		"failed": "ada:file.upload.failed bob:file.upload.failed", "some": "",
	} {
		have := strings.Fields(of(t, b, sink))
		if slices.Sort(have); strings.Join(have, " ") != want {
			t.Errorf("%s: %s", sink, have)
		}
	}
}

// TestSelectionByKeys: notices about keys are for those who were selected.
func TestSelectionByKeys(t *testing.T) {
	l := selecting(t)
	w := watch(t, "pod-0", l, keyOf("team/ada", time.Now().Add(time.Hour)), keyOf("team/eve", time.Now().Add(time.Hour)))
	w.Configure(l, chosen, nil)
	if have := w.look(t, "some"); len(have) != 1 || have[0].Data.User != "team/ada" {
		t.Errorf("%d events", len(have))
	}
	if have := w.look(t, "all"); len(have) != 2 {
		t.Errorf("%d events", len(have))
	}
}

// TestNoUserIsSelected: what no sink wants takes no space.
func TestNoUserIsSelected(t *testing.T) {
	l := selecting(t)
	l.Events.Sinks = l.Events.Sinks[1:2]
	b, _ := start(t, l, "pod-0")
	c := &event.Connection{Account: "team/eve", User: "eve"}
	o, err := b.Journal(c).Publishing(&vfs.Publication{Path: "/f", Dir: "/", Name: "f"})
	if err != nil || o != vfs.Outcome(nothing{}) || b.Journal(c).Admits() != nil || b.Journal(c).Written(&vfs.Publication{Path: "/f"}) != nil {
		t.Errorf("%v, %v", o, err)
	}
	st, _ := b.Status()
	if entries, err := os.ReadDir(filepath.Join(b.current.Load().base, "pod-0")); err != nil || st.Written != 0 || st.Bytes != 0 {
		t.Errorf("%v, %+v, %s", err, st, fmt.Sprint(entries))
	}
}
