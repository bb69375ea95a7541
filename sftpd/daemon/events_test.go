package daemon_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// recording is a daemon that records events, and a client of it.
type recording struct {
	*daemontest.Daemon
	dir    *configtest.Dir
	client *sftp.Client
	relay  *events.Client
}

func record(t *testing.T, change func(*config.Listener)) *recording {
	t.Helper()
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.RecordEvents(config.EventSink{Name: "all", Types: events.Types()}, config.EventSink{Name: "files", Types: []events.Type{events.FilePublished}})
	dir.Listener.Uploads.Publish = config.PublishOnClose
	if change != nil {
		change(&dir.Listener)
	}
	d := daemontest.Start(t, dir)
	client, err := sftp.NewClient(d.MustDial(t, "ada", ssh.Password("secret")))
	if err != nil {
		t.Fatal(err)
	}
	return &recording{d, dir, client, &events.Client{Key: configtest.EventsKey()}}
}

func (r *recording) upload(t *testing.T, name, content string) {
	t.Helper()
	f, err := r.client.Create(name)
	if err == nil {
		_, err = f.Write([]byte(content))
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// again logs in again, for a session with the current settings.
func (r *recording) again(t *testing.T) *sftp.Client {
	t.Helper()
	client, err := sftp.NewClient(r.MustDial(t, "ada", ssh.Password("secret")))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Listener changes the settings.
func (r *recording) Listener(t *testing.T, change func(*config.Listener)) {
	t.Helper()
	change(&r.dir.Listener)
	r.Reload(t, r.dir)
}

// pull returns what a sink gets until an event satisfies last.
func (r *recording) pull(t *testing.T, sink string, last func(*events.Event) bool) (all []*events.Event, cursor string) {
	t.Helper()
	for range 10 {
		lines, err := r.relay.Pull(t.Context(), r.Health, events.Query{Sink: sink, After: cursor, Limit: 100, Wait: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			e, err := events.Decode(l.Event)
			if err != nil {
				t.Fatalf("%v: %s", err, l.Event)
			}
			all, cursor = append(all, e), l.Cursor
			if last(e) {
				return all, cursor
			}
		}
	}
	t.Fatal("the last event does not come")
	return nil, ""
}

// TestEvents: everything that a client does has an event, in the order in which it was done, until the event is acknowledged.
func TestEvents(t *testing.T) {
	r := record(t, func(l *config.Listener) {
		l.Events.TemporaryNames, l.Uploads.Checksum = []string{"*.part"}, config.ChecksumSHA256
	})
	r.upload(t, "/a", "first")
	r.upload(t, "/a", "second!")
	r.upload(t, "/b.part", "moved")
	for _, err := range []error{
		r.client.PosixRename("/b.part", "/b"), r.client.Rename("/b", "/c"), r.client.Remove("/c"), r.client.Mkdir("/d"), r.client.RemoveDirectory("/d"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f, err := r.client.Open("/a")
	if err == nil {
		_, err = f.WriteTo(&strings.Builder{})
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	_, _ = r.Dial("ada", ssh.Password("wrong"))
	all, cursor := r.pull(t, "all", func(e *events.Event) bool { return e.Type == events.LoginRefused })
	var have []string
	ids := map[string]bool{}
	sequence := ""
	for _, e := range all {
		size := int64(-1)
		if e.Data.Size != nil {
			size = *e.Data.Size
		}
		sum := e.Data.SHA256
		for _, content := range []string{"first", "second!", "moved"} {
			if sum == fmt.Sprintf("%x", sha256.Sum256([]byte(content))) {
				sum = content
			}
		}
		have = append(have, fmt.Sprint(strings.TrimSuffix(strings.TrimPrefix(string(e.Type), "io.sftp-operator."), ".v1"), " ", e.Data.OriginalPath, " ", e.Data.Path, " ", size, " ", sum, " ", e.Data.Replaced))
		if ids[e.ID] || e.Sequence <= sequence || e.PartitionKey != "team/ada" && e.Type != events.LoginRefused {
			t.Errorf("%+v", e)
		}
		ids[e.ID], sequence = true, e.Sequence
	}
	want := []string{
		"login.succeeded   -1  false", "file.published  /a 5 first false", "file.published  /a 7 second! true", "file.published /b.part /b 5 moved false",
		"file.renamed /b.part /b -1  false", "file.renamed /b /c -1  false", "file.deleted  /c -1  false", "directory.created  /d -1  false",
		"directory.deleted  /d -1  false", "file.downloaded  /a -1  false", "login.refused   -1  false",
	}
	if strings.Join(have, "\n") != strings.Join(want, "\n") {
		t.Errorf("have\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if err := r.relay.Ack(t.Context(), r.Health, events.Ack{Sink: "all", Cursor: cursor}); err != nil {
		t.Fatal(err)
	}
	st, err := r.relay.Status(t.Context(), r.Health)
	if err != nil || !st.Durable || st.Sinks[0].Pending != 0 || st.Sinks[1].Pending != 3 {
		t.Errorf("%+v, %v", st, err)
	}
	if _, body := r.Get(t, "/metrics"); !strings.Contains(body, `sftpd_events_pending{sink="files"} 3`) || !strings.Contains(body, "sftpd_events_durable 1") {
		t.Error("metrics: ", body)
	}
}

// TestEventsAreNotForUsers: the log is in no user's tree, even if a user has the whole volume, and no one without the key can
// read it.
func TestEventsAreNotForUsers(t *testing.T) {
	r := record(t, nil)
	r.dir.AddUser("root", "secret").Mounts[0].SubPath = ""
	r.Reload(t, r.dir)
	r.upload(t, "/a", "x")
	if _, err := os.Stat(filepath.Join(r.dir.Volume(), ".sftpd-events", "files", "public", daemontest.Pod)); err != nil {
		t.Fatal(err)
	}
	root, err := sftp.NewClient(r.MustDial(t, "root", ssh.Password("secret")))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := root.ReadDir("/")
	if err != nil || len(entries) != 1 || entries[0].Name() != "ada" {
		t.Errorf("%v, %v", entries, err)
	}
	if err := root.Rename("/ada", "/.sftpd-events"); err == nil {
		t.Error("the name can be taken")
	}
	if _, err := root.ReadDir("/.sftpd-events"); err == nil {
		t.Error("the directory can be read")
	}
	if err := root.Symlink("/.sftpd-events", "/l"); err == nil {
		t.Error("a link to it can be made")
	}
	if code, _ := r.Get(t, events.Path+"?sink=all&limit=1"); code != 401 {
		t.Errorf("without a proof: %d", code)
	}
	r.relay.Key = []byte(strings.Repeat("o", 52))
	if _, err := r.relay.Status(t.Context(), r.Health); err == nil {
		t.Error("another key reads it")
	}
}

// TestEventsAreWaitedFor: a request waits for events for longer than other requests of the health port may take, but no longer
// than it asked for.
func TestEventsAreWaitedFor(t *testing.T) {
	t.Parallel()
	r := record(t, nil)
	began := time.Now()
	lines, err := r.relay.Pull(t.Context(), r.Health, events.Query{Sink: "files", Limit: 1, Wait: 12 * time.Second})
	if took := time.Since(began); err != nil || len(lines) != 0 || took < 12*time.Second {
		t.Errorf("%d events after %s: %v", len(lines), took, err)
	}
	uploaded := make(chan struct{})
	go func() {
		defer close(uploaded)
		time.Sleep(200 * time.Millisecond)
		r.upload(t, "/a", "x")
	}()
	defer func() { <-uploaded }() // its event comes before its answer, and the test must not end between them
	began = time.Now()
	lines, err = r.relay.Pull(t.Context(), r.Health, events.Query{Sink: "files", Limit: 1, Wait: events.MaxWait})
	if took := time.Since(began); err != nil || len(lines) != 1 || took > 10*time.Second {
		t.Errorf("%d events after %s: %v", len(lines), took, err)
	}
	for _, q := range []events.Query{
		{Sink: "files"}, {Sink: "files", Limit: events.MaxLimit + 1}, {Sink: "files", Limit: 1, Wait: events.MaxWait + 1}, {Sink: "none", Limit: 1}, {Sink: "files", Limit: 1, After: "x"},
	} {
		if lines, err := r.relay.Pull(t.Context(), r.Health, q); err == nil {
			t.Errorf("%+v: %d lines", q, len(lines))
		}
	}
}

// TestUploadsAreRefused: where no event can be kept, an upload fails with a reason before anything is published; with
// DropOldest it does not.
func TestUploadsAreRefused(t *testing.T) {
	r := record(t, nil)
	r.upload(t, "/before", "x")
	events := filepath.Join(r.dir.Volume(), ".sftpd-events")
	if err := os.Rename(events, events+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(events, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.Listener(t, func(l *config.Listener) { l.Name = "other" }) // its events are elsewhere, where nothing can be written
	client := r.again(t)
	var failure *sftp.StatusError
	r.Eventually(t, "uploads are refused", func() bool {
		_, err := client.Create("/refused")
		return errors.As(err, &failure) && strings.Contains(failure.Error(), "events cannot be recorded")
	})
	if _, err := os.Stat(filepath.Join(r.dir.Home("ada"), "refused")); err == nil {
		t.Error("it was published")
	}
	if code, body := r.Get(t, "/metrics"); code != 200 || !strings.Contains(body, "sftpd_events_durable 0") {
		t.Error("the metric claims the promise")
	}
	r.Listener(t, func(l *config.Listener) { l.Events.WhenFull = config.WhenFullDropOldest })
	r.client = client
	r.upload(t, "/accepted", "x")
}

// TestEventsOff: nothing is kept, and the endpoints say so.
func TestEventsOff(t *testing.T) {
	r := record(t, func(l *config.Listener) { l.Events = config.Events{} })
	r.upload(t, "/a", "x")
	if _, err := os.Stat(filepath.Join(r.dir.Volume(), ".sftpd-events")); err == nil {
		t.Error("there are events")
	}
	if code, _ := r.Get(t, events.StatusPath); code != 401 {
		t.Error(code)
	}
	if _, body := r.Get(t, "/metrics"); strings.Contains(body, "sftpd_events_") {
		t.Error("metrics of an outbox that is off")
	}
}
