package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
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

// asked is a pod's outbox with its endpoints.
type asked struct {
	*testing.T
	*Box
	base   string
	client *events.Client
}

// recording is a listener that publishes when files are closed, so that nothing is lost.
func recording(t *testing.T, list ...config.EventSink) *config.Listener {
	t.Helper()
	dir := configtest.New(t)
	dir.RecordEvents(list...)
	dir.Listener.Uploads.Publish = config.PublishOnClose
	return &dir.Listener
}

func ask(t *testing.T) *asked {
	t.Helper()
	b, _ := start(t, recording(t, sinks("a", "b")...), "pod-0")
	key := bytes.Repeat([]byte("k"), 32)
	s := httptest.NewServer(b.Handler(func() []byte { return key }))
	t.Cleanup(s.Close)
	return &asked{T: t, Box: b, base: s.URL, client: &events.Client{Key: key, HTTP: s.Client()}}
}

// upload records an upload by ada.
func (a *asked) upload(path string) {
	a.Helper()
	if err := a.Journal(&event.Connection{Account: "team/ada", User: "ada"}).Written(&vfs.Publication{Path: path, Name: path[1:]}); err != nil {
		a.Fatal(err)
	}
}

// pull returns the paths of what a sink gets, and the cursors.
func (a *asked) pull(q events.Query) (paths string, cursors []string) {
	a.Helper()
	if q.Limit == 0 {
		q.Limit = events.MaxLimit
	}
	lines, err := a.client.Pull(a.Context(), a.base, q)
	if err != nil {
		a.Fatal(err)
	}
	return a.paths(lines)
}

func (a *asked) paths(lines []events.Line) (paths string, cursors []string) {
	a.Helper()
	for _, l := range lines {
		e, err := events.Decode(l.Event)
		if err != nil {
			a.Fatal(err)
		}
		paths, cursors = paths+e.Data.Path, append(cursors, l.Cursor)
	}
	return paths, cursors
}

// TestEndpoints: a relay pulls events in order, acknowledges them, and gives up some, which people list, and replay or drop.
func TestEndpoints(t *testing.T) {
	a := ask(t)
	for i := range 5 {
		a.upload(fmt.Sprint("/", i))
	}
	if got, _ := a.pull(events.Query{Sink: "a", Limit: 2}); got != "/0/1" {
		t.Errorf("at most two: %s", got)
	}
	got, cursors := a.pull(events.Query{Sink: "a"})
	if got != "/0/1/2/3/4" {
		t.Fatal(got)
	}
	if got, _ := a.pull(events.Query{Sink: "a", After: cursors[2]}); got != "/3/4" {
		t.Errorf("after the third: %s", got)
	}
	ctx := t.Context()
	if err := a.client.Ack(ctx, a.base, events.Ack{Sink: "a", Cursor: cursors[0]}); err != nil {
		t.Error(err)
	}
	for _, at := range []int{1, 3} {
		if err := a.client.Dead(ctx, a.base, events.Dead{Sink: "a", Cursor: cursors[at], Reason: "404"}); err != nil {
			t.Error(err)
		}
	}
	if err := a.client.Dead(ctx, a.base, events.Dead{Sink: "a", Cursor: cursors[1], Reason: "404"}); !errors.Is(err, events.ErrNotPending) {
		t.Errorf("twice: %v", err)
	}
	if got, _ := a.pull(events.Query{Sink: "a"}); got != "/2/4" {
		t.Errorf("pending: %s", got)
	}
	dead := func() string {
		t.Helper()
		lines, err := a.client.DeadLetters(ctx, a.base, events.Query{Sink: "a", Limit: 9})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if l.Reason != "404" || l.Since.IsZero() {
				t.Errorf("%+v", l)
			}
		}
		got, _ := a.paths(lines)
		return got
	}
	if got := dead(); got != "/1/3" {
		t.Errorf("dead letters: %s", got)
	}
	lines, err := a.client.DeadLetters(ctx, a.base, events.Query{Sink: "a", Limit: 1})
	if err != nil || len(lines) != 1 {
		t.Fatal(lines, err)
	}
	first, err := events.Decode(lines[0].Event)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := a.client.Replay(ctx, a.base, events.Selection{Sink: "a", IDs: []string{first.ID}}); n != 1 || err != nil {
		t.Errorf("replayed %d, %v", n, err)
	}
	if got, _ := a.pull(events.Query{Sink: "a"}); got != "/2/4/1" || dead() != "/3" {
		t.Errorf("after the replay: %s, dead letters %s", got, dead())
	}
	if n, err := a.client.Drop(ctx, a.base, events.Selection{Sink: "a", All: true}); n != 1 || err != nil || dead() != "" {
		t.Errorf("dropped %d, %v, left %s", n, err, dead())
	}
	if got, _ := a.pull(events.Query{Sink: "b"}); got != "/0/1/2/3/4" {
		t.Errorf("another sink: %s", got)
	}
	st, err := a.client.Status(ctx, a.base)
	if err != nil || len(st.Sinks) != 2 || st.Sinks[0].Pending != 3 || st.Sinks[1].Pending != 5 || !st.Durable || st.Written < 5 {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestRefusedRequests: only a holder of the key gets an answer, and each kind of invalid request has its own status.
func TestRefusedRequests(t *testing.T) {
	a := ask(t)
	a.upload("/0")
	_, cursors := a.pull(events.Query{Sink: "a"})
	stranger := &events.Client{Key: bytes.Repeat([]byte("x"), 32), HTTP: a.client.HTTP}
	ctx := t.Context()
	if _, err := stranger.Pull(ctx, a.base, events.Query{Sink: "a", Limit: 1}); !errors.Is(err, events.ErrUnauthorized) {
		t.Errorf("another key: %v", err)
	}
	if err := stranger.Ack(ctx, a.base, events.Ack{Sink: "a", Cursor: cursors[0]}); !errors.Is(err, events.ErrUnauthorized) {
		t.Errorf("another key: %v", err)
	}
	const nonce = "a nonce of twenty bytes"
	send := func(method, target, body, provenBody string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, a.base+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(events.NonceHeader, nonce)
		r.Header.Set(events.ProofHeader, events.Proof(a.client.Key, nonce, method, target, []byte(provenBody)))
		answer, err := a.client.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	ack := fmt.Sprintf(`{"sink":"a","cursor":%q}`, cursors[0])
	for _, tc := range []struct {
		method, target, body string
		want                 int
	}{
		{"GET", events.Path + "?sink=a&limit=1", "", http.StatusOK},
		{"GET", events.Path + "?sink=a&limit=500", "", http.StatusOK},
		{"GET", events.Path + "?sink=a&limit=501", "", http.StatusBadRequest},
		{"GET", events.Path + "?sink=a&limit=0", "", http.StatusBadRequest},
		{"GET", events.Path + "?sink=a", "", http.StatusBadRequest},
		{"GET", events.DeadPath + "?sink=a", "", http.StatusBadRequest},
		{"GET", events.Path + "?sink=a&limit=1&wait=0s", "", http.StatusOK},
		{"GET", events.Path + "?sink=a&limit=1&wait=-1s", "", http.StatusBadRequest},
		{"GET", events.Path + "?sink=a&limit=1&wait=21s", "", http.StatusBadRequest},
		{"GET", events.Path + "?sink=a&limit=1&wait=x", "", http.StatusBadRequest},
		{"GET", events.Path + "?sink=none&limit=1", "", http.StatusNotFound},
		{"GET", events.DeadPath + "?sink=none&limit=1", "", http.StatusNotFound},
		{"GET", events.Path + "?sink=a&limit=1&after=x", "", http.StatusConflict},
		{"POST", events.AckPath, `{"sink":"none","cursor":"x"}`, http.StatusNotFound},
		{"POST", events.AckPath, `{"sink":"a"}`, http.StatusBadRequest},
		{"POST", events.AckPath, "{", http.StatusBadRequest},
		{"POST", events.DeadPath, `{"sink":"a"}`, http.StatusBadRequest},
		{"POST", events.DropPath, `{"sink":"a"}`, http.StatusBadRequest},
		{"POST", events.DropPath, `{"sink":"none","all":true}`, http.StatusNotFound},
		{"POST", events.AckPath, strings.Repeat(" ", events.MaxRequest+1), http.StatusRequestEntityTooLarge},
		{"POST", events.AckPath, ack, http.StatusOK},
	} {
		if got := send(tc.method, tc.target, tc.body, tc.body); got != tc.want {
			t.Errorf("%s %s %.40s: %d, want %d", tc.method, tc.target, tc.body, got, tc.want)
		}
	}
	if got := send("POST", events.AckPath, ack, ack+" "); got != http.StatusUnauthorized {
		t.Errorf("a proof of another body: %d", got)
	}
	a.Configure(recording(t), nil, nil) // no sinks
	if _, err := a.client.Pull(ctx, a.base, events.Query{Sink: "a", Limit: 1}); !errors.Is(err, events.ErrUnknownSink) {
		t.Errorf("an outbox that is off: %v", err)
	}
	if _, err := a.client.Status(ctx, a.base); !errors.Is(err, events.ErrUnknownSink) {
		t.Errorf("an outbox that is off: %v", err)
	}
}

// TestWaiting: a waiting request is answered when there is an event or its time is over. No more may wait than a listener's
// sinks need.
func TestWaiting(t *testing.T) {
	a := ask(t)
	got := make(chan string)
	go func() {
		paths, _ := a.pull(events.Query{Sink: "a", Wait: events.MaxWait})
		got <- paths
	}()
	select {
	case paths := <-got:
		t.Fatalf("it does not wait, and gets %q", paths)
	case <-time.After(200 * time.Millisecond):
	}
	began := time.Now()
	a.upload("/0")
	if paths := <-got; paths != "/0" || time.Since(began) > events.MaxWait/2 {
		t.Errorf("%q after %s", paths, time.Since(began))
	}
	if paths, _ := a.pull(events.Query{Sink: "b", Wait: time.Minute / 6}); paths != "/0" {
		t.Errorf("%q", paths)
	}
	_, cursors := a.pull(events.Query{Sink: "a"})
	began = time.Now()
	if paths, _ := a.pull(events.Query{Sink: "a", After: cursors[0], Wait: 300 * time.Millisecond}); paths != "" || time.Since(began) < 300*time.Millisecond {
		t.Errorf("%q after %s", paths, time.Since(began))
	}
	h := &handler{waiting: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- h.wait(ctx, nil, time.Now().Add(time.Hour)) }()
	for len(h.waiting) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := h.wait(t.Context(), nil, time.Now().Add(time.Hour)); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("one too many: %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || len(h.waiting) != 0 {
		t.Errorf("a client that is gone: %v, %d wait", err, len(h.waiting))
	}
}

// TestReadingIsBounded: only a few requests read from a volume at a time. While it hangs, others are told to retry, and when
// it answers, there is room again.
func TestReadingIsBounded(t *testing.T) {
	h := &handler{reading: make(chan struct{}, maxReading)}
	hang := make(chan struct{})
	ended := make(chan error)
	for range maxReading {
		go func() {
			_, err := h.read(t.Context(), func() ([]byte, error) { <-hang; return nil, nil })
			ended <- err
		}()
	}
	for len(h.reading) < maxReading {
		time.Sleep(time.Millisecond)
	}
	if _, err := h.read(t.Context(), func() ([]byte, error) { return nil, nil }); !errors.Is(err, ErrSlow) {
		t.Errorf("one too many: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.read(gone, func() ([]byte, error) { return nil, nil }); !errors.Is(err, context.Canceled) && !errors.Is(err, ErrSlow) {
		t.Errorf("a client that is gone: %v", err)
	}
	close(hang)
	for range maxReading {
		if err := <-ended; err != nil && !errors.Is(err, ErrSlow) {
			t.Error(err)
		}
	}
	out, err := h.read(t.Context(), func() ([]byte, error) { return []byte("x"), errFull })
	if string(out) != "x" || !errors.Is(err, errFull) {
		t.Errorf("%s, %v", out, err)
	}
}

var errFull = errors.New("full")

// TestEmittedEvents: changes become events of their types, with what they are about; failures and reads of metadata do not.
// Downloads and uploads are distinguished, and an unauthenticated name belongs to no user.
func TestEmittedEvents(t *testing.T) {
	size := int64(7)
	ada := &event.Connection{ID: "c", Account: "team/ada", User: "ada", Source: "192.0.2.7:4711", Methods: []string{"Password"}}
	for name, tc := range map[string]struct {
		emit event.Event
		want events.Type
		data events.Data
	}{
		"a download": {
			event.Transfer{Connection: ada, File: event.File{Path: "/f", Direction: "download", BytesRead: 7}, Result: event.OK},
			events.FileDownloaded,
			events.Data{Path: "/f", BytesRead: 7},
		},
		"a failed download": {event.Transfer{Connection: ada, File: event.File{Path: "/f", Direction: "download"}, Result: event.Aborted}, "", events.Data{}},
		"an upload":         {event.Transfer{Connection: ada, File: event.File{Path: "/f", Direction: "upload"}, Result: event.OK}, "", events.Data{}},
		"an aborted upload": {
			event.Transfer{Connection: ada, File: event.File{Path: "/f", Direction: "upload", BytesWritten: 3}, Result: event.Aborted, Left: "kept"},
			events.FileUploadFailed,
			events.Data{Path: "/f", BytesWritten: 3, Left: "kept", Reason: "aborted"},
		},
		"a failed upload": {
			event.Transfer{Connection: ada, File: event.File{Path: "/f", Direction: "upload"}, Result: "error", Error: "no space"},
			events.FileUploadFailed,
			events.Data{Path: "/f", Reason: "no space"},
		},
		"a deletion":      {event.Operation{Connection: ada, Operation: "remove", Path: "/f", Result: event.OK}, events.FileDeleted, events.Data{Path: "/f"}},
		"a rename":        {event.Operation{Connection: ada, Operation: "rename", Path: "/f", Target: "/g", Result: event.OK}, events.FileRenamed, events.Data{Path: "/g", OriginalPath: "/f"}},
		"another rename":  {event.Operation{Connection: ada, Operation: "posix-rename", Path: "/f", Target: "/g", Result: event.OK}, events.FileRenamed, events.Data{Path: "/g", OriginalPath: "/f"}},
		"a directory":     {event.Operation{Connection: ada, Operation: "mkdir", Path: "/d", Result: event.OK}, events.DirectoryCreated, events.Data{Path: "/d"}},
		"its end":         {event.Operation{Connection: ada, Operation: "rmdir", Path: "/d", Result: event.OK}, events.DirectoryDeleted, events.Data{Path: "/d"}},
		"a refused one":   {event.Operation{Connection: ada, Operation: "rmdir", Path: "/d", Result: "denied"}, "", events.Data{}},
		"something else":  {event.Operation{Connection: ada, Operation: "setstat", Path: "/d", Result: event.OK}, "", events.Data{}},
		"a login":         {event.Login{Connection: ada}, events.LoginSucceeded, events.Data{Methods: []string{"Password"}}},
		"a refused login": {event.LoginRefused{Connection: ada, Reason: event.WrongPassword}, events.LoginRefused, events.Data{Methods: []string{"Password"}, Reason: string(event.WrongPassword)}},
		"retention": {
			event.FileExpired{Account: "team/ada", Rule: "old", Volume: "data", Path: "ada/f", Size: 7, Uploaded: time.Unix(1e9, 0)},
			events.FileExpired,
			events.Data{Path: "ada/f", Rule: "old", Volume: "data", Size: &size, Uploaded: time.Unix(1e9, 0).UTC()},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := start(t, recording(t, sinks("a")...), "pod-0")
			b.Emit(tc.emit)
			b.Emit(event.Operation{Connection: ada, Operation: "mkdir", Path: "/last", Result: event.OK})
			eventually(t, "the last is recorded", func() bool {
				return strings.HasSuffix(of(t, b, "a"), "directory.created") && (tc.want == "") == (strings.Count(of(t, b, "a"), " ") == 0)
			})
			raw, err := b.current.Load().lines("a", "", 9, false)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := events.ParseLines(raw)
			if err != nil {
				t.Fatal(err)
			}
			if tc.want == "" {
				return
			}
			e, err := events.Decode(lines[0].Event)
			if err != nil {
				t.Fatal(err)
			}
			d := e.Data
			if e.Type != tc.want || d.User != "team/ada" || e.ID == "" || e.PartitionKey != "team/ada" || e.Subject == "" || e.Time.IsZero() {
				t.Errorf("%+v", e)
			}
			unproved, system := e.AuthType == events.AuthUnauthenticated, e.AuthType == events.AuthSystem
			if unproved != (tc.want == events.LoginRefused) || system != (tc.want == events.FileExpired) || (e.AuthID == "team/ada") == (unproved || system) {
				t.Errorf("of %q %q", e.AuthType, e.AuthID)
			}
			if !system && (d.Connection != "c" || d.SourceAddress != ada.Source || d.Login != "ada") {
				t.Errorf("%+v", d)
			}
			w := tc.data
			if d.Path != w.Path || d.OriginalPath != w.OriginalPath || d.BytesRead != w.BytesRead || d.BytesWritten != w.BytesWritten || d.Left != w.Left ||
				d.Reason != w.Reason || !slices.Equal(d.Methods, w.Methods) || d.Rule != w.Rule || d.Volume != w.Volume || !d.Uploaded.Equal(w.Uploaded) ||
				(d.Size != nil) != (w.Size != nil) || w.Size != nil && *d.Size != *w.Size {
				t.Errorf("%+v, want %+v", d, w)
			}
		})
	}
}
