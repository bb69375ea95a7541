// Package receive is an event receiver for trying out events: it prints each one as a line. It shows how little a receiver has to
// do: keep what an event says, then answer, and ignore an ID that it has already seen.
package receive

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/health"
)

const (
	// maxIDs is how many IDs are remembered. A receiver that starts jobs would store them with its results.
	maxIDs      = 10_000
	requestTime = 10 * time.Second
	// maxConnections is how many connections there may be at a time. A relay uses at most 32 for a sink.
	maxConnections = 256
)

// Receiver answers requests of a relay. It is safe for concurrent use.
type Receiver struct {
	mu  sync.Mutex
	out io.Writer
	ids map[string]bool
	// order contains the IDs; next is the next place to reuse.
	order []string
	next  int
}

// New returns a Receiver that prints to out.
func New(out io.Writer) *Receiver { return &Receiver{out: out, ids: map[string]bool{}} }

// ServeHTTP implements http.Handler. An event is answered once it is printed: after the answer it is not sent again.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if req.Method != http.MethodPost || err != nil || kind != events.ContentType {
		http.Error(w, "POST an event as "+events.ContentType, http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, events.MaxSize))
	if err != nil {
		http.Error(w, "the event cannot be read", http.StatusBadRequest)
		return
	}
	e, err := events.Decode(body)
	var line bytes.Buffer
	if err == nil {
		err = json.Compact(&line, body) // one line, no matter who sent it
	}
	if err != nil {
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	if !r.print(e.ID, line.Bytes()) {
		http.Error(w, "the event cannot be printed", http.StatusInternalServerError) // the event will be sent again
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// print prints a line, unless its ID has already been printed, and reports whether that succeeded.
func (r *Receiver) print(id string, line []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids[id] {
		return true
	}
	if _, err := r.out.Write(append(line, '\n')); err != nil {
		return false
	}
	r.ids[id] = true
	if len(r.order) < maxIDs {
		r.order = append(r.order, id)
		return true
	}
	delete(r.ids, r.order[r.next])
	r.order[r.next] = id
	r.next = (r.next + 1) % maxIDs
	return true
}

// Server returns an HTTP server for a receiver, with bounds for what a peer may send, and how slowly. /livez is for the kubelet.
func Server(r *Receiver) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.Handle("/", r)
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: requestTime, ReadTimeout: requestTime, WriteTimeout: requestTime,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

// Serve serves connections of a listener, as many as are allowed at a time.
func Serve(s *http.Server, l net.Listener) error { return s.Serve(health.Limit(l, maxConnections)) }
