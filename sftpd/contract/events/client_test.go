package events_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

var key = bytes.Repeat([]byte("k"), 52)

// daemon answers requests that are proven with key.
func daemon(t *testing.T, answer func(r *http.Request, body string) (int, string)) (*events.Client, string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		nonce := r.Header.Get(events.NonceHeader)
		if !events.Proven(r.Header.Get(events.ProofHeader), key, nonce, r.Method, r.URL.RequestURI(), body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		code, text := answer(r, string(body))
		if code != http.StatusOK {
			http.Error(w, text, code)
			return
		}
		sealed, err := events.Seal(key, nonce, []byte(text))
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(sealed)
	}))
	t.Cleanup(s.Close)
	return &events.Client{Key: key, HTTP: s.Client()}, s.URL
}

func TestClient(t *testing.T) {
	var seen []string
	c, base := daemon(t, func(r *http.Request, body string) (int, string) {
		seen = append(seen, r.Method+" "+r.URL.RequestURI()+" "+body)
		switch r.Method + r.URL.Path {
		case "GET" + events.StatusPath:
			return http.StatusOK, `{"durable":true,"sinks":[{"name":"a","pending":3}]}`
		case "GET" + events.Path:
			return http.StatusOK, "{\"cursor\":\"7\",\"event\":{\"id\": \"<x>\"}}\n"
		case "POST" + events.ReplayPath, "POST" + events.DropPath:
			return http.StatusOK, `{"count":2}`
		}
		return http.StatusOK, ""
	})
	lines, err := c.Pull(t.Context(), base, events.Query{Sink: "a b", After: "x-1", Limit: 5, Wait: 20 * time.Second})
	if err != nil || len(lines) != 1 || lines[0].Cursor != "7" || string(lines[0].Event) != `{"id": "<x>"}` {
		t.Errorf("%+v, %v", lines, err)
	}
	if lines, err := c.DeadLetters(t.Context(), base, events.Query{Sink: "a", Limit: 1}); err != nil || len(lines) != 0 {
		t.Errorf("%+v, %v", lines, err)
	}
	if err := errors.Join(c.Ack(t.Context(), base, events.Ack{Sink: "a", Cursor: "7"}),
		c.Dead(t.Context(), base, events.Dead{Sink: "a", Cursor: "8", Reason: "410\n" + strings.Repeat("x", 5000)})); err != nil {
		t.Error(err)
	}
	if n, err := c.Replay(t.Context(), base, events.Selection{Sink: "a", All: true}); n != 2 || err != nil {
		t.Error(n, err)
	}
	if n, err := c.Drop(t.Context(), base, events.Selection{Sink: "a", IDs: []string{"i"}}); n != 2 || err != nil {
		t.Error(n, err)
	}
	if st, err := c.Status(t.Context(), base); err != nil || !st.Durable || st.Sinks[0].Pending != 3 {
		t.Errorf("%+v, %v", st, err)
	}
	want := []string{
		"GET /events?after=x-1&limit=5&sink=a+b&wait=20s ",
		"GET /events/dead?limit=1&sink=a ",
		`POST /events/ack {"sink":"a","cursor":"7"}`,
		`POST /events/dead {"sink":"a","cursor":"8","reason":"410` + "\uFFFD" + strings.Repeat("x", events.MaxReason-6) + `"}`,
		`POST /events/replay {"sink":"a","all":true}`,
		`POST /events/drop {"sink":"a","ids":["i"]}`,
		"GET /events/status ",
	}
	if len(seen) != len(want) {
		t.Fatalf("%d requests", len(seen))
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Errorf("have %.200q\nwant %.200q", seen[i], want[i])
		}
	}
}

// TestRefusals: what a daemon answers instead, and what someone else answers in its place.
func TestRefusals(t *testing.T) {
	for code, want := range map[int]error{
		http.StatusNotFound: events.ErrUnknownSink, http.StatusConflict: events.ErrOtherLog, http.StatusServiceUnavailable: events.ErrUnavailable,
	} {
		c, base := daemon(t, func(*http.Request, string) (int, string) { return code, "why" })
		if err := c.Ack(t.Context(), base, events.Ack{}); !errors.Is(err, want) {
			t.Errorf("%d: %v", code, err)
		}
	}
	c, base := daemon(t, func(*http.Request, string) (int, string) { return http.StatusOK, "" })
	c.Key = bytes.Repeat([]byte("o"), 52)
	if err := c.Ack(t.Context(), base, events.Ack{}); !errors.Is(err, events.ErrUnauthorized) {
		t.Error(err)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"nothing":  func(http.ResponseWriter, *http.Request) {},
		"garbage":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 500)) },
		"endless":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 3<<20)) },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	} {
		s := httptest.NewServer(handler)
		c := &events.Client{Key: key}
		if _, err := c.Status(t.Context(), s.URL); err == nil {
			t.Errorf("%s: no error", name)
		}
		s.Close()
	}
}

func TestProof(t *testing.T) {
	nonce := "0123456789abcdef"
	proof := events.Proof(key, nonce, "GET", "/events?sink=a", nil)
	for name, ok := range map[string]bool{
		"same":   events.Proven(proof, key, nonce, "GET", "/events?sink=a", nil),
		"key":    !events.Proven(proof, bytes.Repeat([]byte("x"), 52), nonce, "GET", "/events?sink=a", nil),
		"nonce":  !events.Proven(proof, key, nonce+"x", "GET", "/events?sink=a", nil),
		"method": !events.Proven(proof, key, nonce, "POST", "/events?sink=a", nil),
		"target": !events.Proven(proof, key, nonce, "GET", "/events?sink=b", nil),
		"body":   !events.Proven(proof, key, nonce, "GET", "/events?sink=a", []byte("x")),
		"short":  !events.Proven(events.Proof(key, "x", "GET", "/", nil), key, "x", "GET", "/", nil),
		"no key": !events.Proven(events.Proof(nil, nonce, "GET", "/", nil), nil, nonce, "GET", "/", nil),
		"empty":  !events.Proven("", key, nonce, "GET", "/", nil),
	} {
		if !ok {
			t.Error(name)
		}
	}
	sealed, err := events.Seal(key, nonce, []byte("answer"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := events.Open(key, nonce, changed); !errors.Is(err, events.ErrSeal) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	if _, err := events.Open(key, nonce+"x", bytes.Clone(sealed)); !errors.Is(err, events.ErrSeal) {
		t.Error(err)
	}
	if got, err := events.Open(key, nonce, sealed); err != nil || string(got) != "answer" {
		t.Errorf("%q, %v", got, err)
	}
	for _, file := range []string{"", "short", strings.Repeat("x", 257)} {
		if _, err := events.ParseKey([]byte(file)); err == nil {
			t.Errorf("%d bytes are a key", len(file))
		}
	}
	if got, err := events.ParseKey([]byte(" " + strings.Repeat("x", 32) + "\n")); err != nil || len(got) != 32 {
		t.Error(got, err)
	}
}
