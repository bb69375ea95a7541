package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// watching is a pod that checks keys only when the test asks for it.
type watching struct {
	*Box
	keyWatch
	keys []Key
	stop func()
}

func watch(t *testing.T, pod string, l *config.Listener, keys ...Key) *watching {
	t.Helper()
	w := &watching{Box: New(Options{Pod: pod, Log: slog.New(slog.DiscardHandler)}), keys: keys}
	w.Configure(l, nil, nil)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	w.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(w.stop)
	w.keyWatch = keyWatch{box: w.Box, recorded: memory{}, keys: func(after, until time.Time) (out []Key) {
		for _, k := range w.keys {
			if k.NotAfter.After(after) && !k.NotAfter.After(until) {
				out = append(out, k)
			}
		}
		return out
	}}
	eventually(t, "the log is open", func() bool { return w.current.Load().canRecord() })
	return w
}

// look makes a pass, and returns the events that a sink has then.
func (w *watching) look(t *testing.T, sink string) (out []*events.Event) {
	t.Helper()
	o := w.current.Load()
	if err := w.pass(o, time.Now()); err != nil {
		t.Fatal(err)
	}
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
		out = append(out, e)
	}
	return out
}

// TestKeysThatExpire: each has its event once for each sink, whichever pod is first, also after a restart.
func TestKeysThatExpire(t *testing.T) {
	dir := configtest.New(t)
	dir.RecordEvents(sinkOf("files", events.FilePublished), sinkOf("keys", events.KeyExpiring, events.KeyExpired))
	dir.Listener.Events.KeyExpiringSeconds = 7 * 86400
	l := &dir.Listener
	soon, past, later := keyOf("team/ada", time.Now().Add(day)), keyOf("team/bob", time.Now().Add(-day)), keyOf("team/eve", time.Now().Add(8*day))
	first := watch(t, "pod-0", l, soon, past, later)
	second := watch(t, "pod-1", l, soon, past, later)
	have := first.look(t, "keys")
	if len(have) != 2 || have[0].Data.User != "team/bob" || have[0].Type != events.KeyExpired || have[1].Type != events.KeyExpiring {
		t.Fatalf("%d events", len(have))
	}
	e := have[1]
	if e.Subject != "team/ada" || e.PartitionKey != "team/ada" || e.AuthType != events.AuthSystem || e.AuthID != "" || e.Data.Fingerprint != "SHA256:team/ada" ||
		!e.Data.Expires.Equal(soon.NotAfter) || e.Data.Login != "login" || e.ID != events.KeyID(e.Source, e.Type, soon.UID, soon.Fingerprint, soon.NotAfter) {
		t.Errorf("%+v", e)
	}
	if have := second.look(t, "keys"); len(have) != 0 {
		t.Errorf("the other pod has %d of them as well", len(have))
	}
	if have := first.look(t, "keys"); len(have) != 2 {
		t.Errorf("%d events after another pass", len(have))
	}
	if have := first.look(t, "files"); len(have) != 0 {
		t.Errorf("%d events for a sink of files", len(have))
	}
	first.stop()
	first = watch(t, "pod-0", l, soon, past, later)
	if have := first.look(t, "keys"); len(have) != 2 {
		t.Errorf("%d events after a restart", len(have))
	}
	dir.Listener.Events.Sinks = append(dir.Listener.Events.Sinks, sinkOf("new", events.KeyExpiring))
	first.Configure(l, nil, nil)
	if have := first.look(t, "new"); len(have) != 1 || have[0].ID != e.ID {
		t.Errorf("a new sink gets %d events", len(have))
	}
	if have := first.look(t, "keys"); len(have) != 2 {
		t.Errorf("%d events after a sink was added", len(have))
	}
	first.keys[0].NotAfter = soon.NotAfter.Add(time.Hour)
	if have := first.look(t, "new"); len(have) != 2 || have[1].ID == e.ID {
		t.Errorf("%d events after a new end", len(have))
	}
}

// TestKeysFile: whatever is in place of the file of notices, the only effect is duplicates with the same IDs.
func TestKeysFile(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"garbage":    func(p string) error { return os.WriteFile(p, []byte("{"), fileMode) },
		"a sink":     func(p string) error { return os.WriteFile(p, []byte(`{"x":{"until":1,"sinks":["/"]}}`), fileMode) },
		"gone":       os.Remove,
		"a link":     func(p string) error { return errors.Join(os.Remove(p), os.Symlink("/etc/passwd", p)) },
		"unwritable": func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, dirMode)) },
	} {
		dir := configtest.New(t)
		dir.RecordEvents(sinkOf("keys", events.KeyExpiring))
		w := watch(t, "pod-0", &dir.Listener, keyOf("team/ada", time.Now().Add(time.Hour)))
		before := w.look(t, "keys")
		if err := spoil(filepath.Join(w.current.Load().base, keysName)); err != nil {
			t.Fatal(name, err)
		}
		w.stop()
		w = watch(t, "pod-0", &dir.Listener, w.keys...)
		o := w.current.Load()
		for range 3 { // no event each minute because the file cannot be written
			_ = w.pass(o, time.Now())
		}
		w.keyWatch.unsaved = false
		have := w.look(t, "keys")
		if len(before) != 1 || len(have) != 2 || have[1].ID != before[0].ID {
			t.Errorf("%s: %d events", name, len(have))
		}
		w.stop()
	}
}

// TestKeysLeaveRoom: thousands of keys of a namespace that expire at once take an eighth of the room, and come when there is
// room again; those of others do not wait for them.
func TestKeysLeaveRoom(t *testing.T) {
	dir := configtest.New(t)
	dir.RecordEvents(sinkOf("keys", events.KeyExpiring))
	dir.Listener.Events.MaxBytes = config.MinEventsBytes
	var keys []Key
	const many = 1000
	for i := range many {
		keys = append(keys, keyOf(fmt.Sprint("crowd/", i), time.Now().Add(time.Hour)))
	}
	w := watch(t, "pod-0", &dir.Listener, append(keys, keyOf("other/ada", time.Now().Add(2*time.Hour)))...)
	have := w.look(t, "keys")
	crowd, other := 0, 0
	for _, e := range have {
		if strings.HasPrefix(e.Data.User, "crowd/") {
			crowd++
		} else {
			other++
		}
	}
	st, _ := w.Status()
	if other != 1 || crowd == 0 || crowd == many || st.Bytes > config.MinEventsBytes/8+2*events.MaxSize || st.Full || st.Lost != 0 {
		t.Fatalf("%d of the crowd, %d of the other, %+v", crowd, other, st)
	}
	o := w.current.Load()
	ids := map[string]bool{}
	for range many {
		_ = w.pass(o, time.Now())
		raw, err := o.lines("keys", "", events.MaxLimit, false)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := events.ParseLines(raw)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) == 0 {
			break
		}
		for _, l := range lines {
			id := eventID(l.Event)
			if ids[id] {
				t.Fatal("an event came twice")
			}
			ids[id] = true
		}
		if err := o.ack("keys", lines[len(lines)-1].Cursor); err != nil {
			t.Fatal(err)
		}
	}
	if len(ids) != many+1 {
		t.Errorf("%d events", len(ids))
	}
}

// sinkOf returns a sink that wants types.
func sinkOf(name string, types ...events.Type) config.EventSink {
	return config.EventSink{Name: name, Types: types}
}
