package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// TestConfigure: events follow the settings: to another volume, to another time when they are off in between, and to other sinks.
func TestConfigure(t *testing.T) {
	dir := configtest.New(t)
	dir.RecordEvents(sinks("a")...)
	l := &dir.Listener
	l.Volumes = append(l.Volumes, config.Volume{Name: "other", Path: t.TempDir()})
	box := New(Options{Pod: "pod-0", Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); box.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })

	about := &event.Connection{Account: "team/ada", User: "ada"}
	n := 0
	add := func() {
		n++
		box.Emit(event.Operation{Connection: about, Operation: "mkdir", Path: fmt.Sprint("/", n), Result: event.OK})
	}
	pending := func(want int) {
		t.Helper()
		eventually(t, fmt.Sprint(want, " are pending"), func() bool {
			st, on := box.Status()
			return on && len(st.Sinks) > 0 && st.Sinks[0].Pending == want && st.Written >= 1
		})
	}
	if add(); box.Journal(about) != nil {
		t.Error("there is a journal while the outbox is off")
	}
	box.Configure(l, nil, nil)
	add()
	add()
	pending(2)
	l.Events.Volume = "other"
	box.Configure(l, nil, nil)
	add()
	pending(3)
	off := *l
	off.Events = config.Events{}
	box.Configure(&off, nil, nil)
	if add(); box.Journal(about) != nil {
		t.Error("there is a journal while the outbox is off")
	}
	if _, on := box.Status(); on {
		t.Error("it is not off")
	}
	box.Configure(l, nil, nil)
	add()
	pending(4)
	l.Events.Sinks = sinks("b", "a")
	box.Configure(l, nil, nil)
	add()
	pending(1) // of b, which is new
}
