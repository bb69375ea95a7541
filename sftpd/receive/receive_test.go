package receive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

func encoded(t *testing.T, id string) string {
	t.Helper()
	raw, err := events.Encode(&events.Event{
		SpecVersion: events.SpecVersion, ID: id, Source: events.Source("", "files", "public"), Type: events.FilePublished, Time: time.Now(),
		DataContentType: events.DataContentType, Sequence: "1", Data: events.Data{Listener: "files/public", Path: "/in/a.csv"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func post(t *testing.T, r http.Handler, kind string, body io.Reader) int {
	t.Helper()
	w := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	req.Header.Set("Content-Type", kind)
	r.ServeHTTP(w, req)
	return w.Code
}

const structured = events.ContentType + "; charset=utf-8"

// An event is printed once, as one line, whatever its sender does with it; anything else is refused.
func TestReceiver(t *testing.T) {
	var out bytes.Buffer
	server := Server(New(&out)).Handler
	first := encoded(t, "one")
	for _, body := range []string{first, first, strings.Replace(encoded(t, "two"), "{", "{\n\n", 1)} {
		if code := post(t, server, structured, strings.NewReader(body)); code != http.StatusNoContent {
			t.Errorf("%d for %q", code, body)
		}
	}
	for name, c := range map[string]struct {
		kind, body string
		want       int
	}{
		"another type": {"application/json", first, http.StatusUnsupportedMediaType},
		"no type":      {"", first, http.StatusUnsupportedMediaType},
		"garbage":      {structured, "{", http.StatusBadRequest},
		"no event":     {structured, "{}", http.StatusBadRequest},
		"two":          {structured, first + first, http.StatusBadRequest},
		"large":        {structured, first + strings.Repeat(" ", events.MaxSize), http.StatusBadRequest},
	} {
		if code := post(t, server, c.kind, strings.NewReader(c.body)); code != c.want {
			t.Errorf("%s: %d, want %d", name, code, c.want)
		}
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 || lines[0] != first || !json.Valid([]byte(lines[1])) || !strings.Contains(lines[1], `"two"`) {
		t.Errorf("%q", lines)
	}
}

// What cannot be printed is not accepted: the relay sends it again.
func TestClosedOutput(t *testing.T) {
	r := New(broken{})
	for range 2 {
		if code := post(t, r, structured, strings.NewReader(encoded(t, "one"))); code != http.StatusInternalServerError {
			t.Error(code)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

// The IDs that are remembered are bounded.
func TestManyIDs(t *testing.T) {
	r := New(io.Discard)
	for i := range 2*maxIDs + 1 {
		if !r.print(fmt.Sprint("id-", i), nil) {
			t.Fatal(i)
		}
	}
	if len(r.ids) != maxIDs || len(r.order) != maxIDs || r.ids["id-0"] || !r.ids[fmt.Sprint("id-", 2*maxIDs)] {
		t.Errorf("%d IDs", len(r.ids))
	}
}

// TestConnectionsAreBounded: when there are too many connections, the oldest is closed for a new one.
func TestConnectionsAreBounded(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := Server(New(io.Discard))
	go func() { _ = Serve(server, l) }()
	defer server.Close()
	var oldest net.Conn
	for range maxConnections + 1 {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if oldest == nil {
			oldest = c
		}
	}
	_ = oldest.SetReadDeadline(time.Now().Add(requestTime / 2)) // later, the server closes a connection without a request
	if _, err := io.ReadAll(oldest); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the oldest connection has its place still")
	}
}
