package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// Limits of what the endpoints can occupy.
const (
	// At most maxReading requests read from the volume at a time, and at most maxWaiting wait for an event. Further ones are
	// told to retry.
	maxReading = 4
	maxWaiting = 2 * events.MaxSinks
	// answerTime is how long reading a request may take, and also how long sending its answer may take.
	answerTime = 10 * time.Second
)

// handler serves the endpoints of package contract/events.
type handler struct {
	box     *Box
	key     func() []byte
	reading chan struct{}
	waiting chan struct{}
}

// Handler serves the endpoints below events.Path to clients that have the key. key returns nil while there is none.
func (b *Box) Handler(key func() []byte) http.Handler {
	h := &handler{box: b, key: key, reading: make(chan struct{}, maxReading), waiting: make(chan struct{}, maxWaiting)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+events.Path, h.with(h.pull))
	mux.HandleFunc("GET "+events.DeadPath, h.with(h.deadLetters))
	mux.HandleFunc("GET "+events.StatusPath, h.with(h.status))
	mux.HandleFunc("POST "+events.AckPath, h.with(h.ack))
	mux.HandleFunc("POST "+events.DeadPath, h.with(h.bury))
	mux.HandleFunc("POST "+events.ReplayPath, h.with(h.selection(true)))
	mux.HandleFunc("POST "+events.DropPath, h.with(h.selection(false)))
	return mux
}

// requestError is an error made by the client.
type requestError string

func (e requestError) Error() string { return string(e) }

// with authenticates a request, answers it, and seals the answer.
func (h *handler) with(answer func(o *outbox, r *http.Request, body []byte) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, events.MaxRequest))
		if err != nil {
			refuse(w, http.StatusRequestEntityTooLarge, "the request is too long")
			return
		}
		// The server's own deadlines would cut the wait short.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(events.MaxWait + 2*answerTime))
		key, nonce := h.key(), r.Header.Get(events.NonceHeader)
		if !events.Proven(r.Header.Get(events.ProofHeader), key, nonce, r.Method, r.URL.RequestURI(), body) {
			refuse(w, http.StatusUnauthorized, "only a relay with this endpoint's key gets an answer")
			return
		}
		var out []byte
		if o := h.box.current.Load(); o == nil {
			err = events.ErrUnknownSink
		} else {
			out, err = answer(o, r, body)
		}
		if err == nil {
			out, err = events.Seal(key, nonce, out)
		}
		if err != nil {
			refuseError(w, err)
			return
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(out) //nolint:gosec // sealed; an error means that the client is gone
	}
}

func refuseError(w http.ResponseWriter, err error) {
	code := http.StatusServiceUnavailable
	_, bad := errors.AsType[requestError](err)
	switch {
	case bad:
		code = http.StatusBadRequest
	case errors.Is(err, events.ErrUnknownSink):
		code = http.StatusNotFound
	case errors.Is(err, events.ErrOtherLog):
		code = http.StatusConflict
	case errors.Is(err, errNoSuchEvent):
		code = http.StatusGone
	}
	refuse(w, code, plainError(err))
}

func refuse(w http.ResponseWriter, code int, text string) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, code)
}

// read runs do, which reads from the volume and may hang, unless too many others are reading.
func (h *handler) read(ctx context.Context, do func() ([]byte, error)) ([]byte, error) {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case h.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.C:
		return nil, ErrSlow
	}
	type answer struct {
		out []byte
		err error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() { <-h.reading }()
		out, err := do()
		done <- answer{out, err}
	}()
	t.Reset(answerTime)
	select {
	case a := <-done:
		return a.out, a.err
	case <-t.C:
		return nil, ErrSlow
	}
}

type query struct {
	sink, after string
	limit       int
	wait        time.Duration
}

func parseQuery(r *http.Request) (q query, err error) {
	values := r.URL.Query()
	q.sink, q.after = values.Get(events.QuerySink), values.Get(events.QueryAfter)
	if q.limit, err = strconv.Atoi(values.Get(events.QueryLimit)); err != nil || q.limit < 1 || q.limit > events.MaxLimit {
		return q, requestError(events.QueryLimit + " must be a number from 1 to " + strconv.Itoa(events.MaxLimit))
	}
	if v := values.Get(events.QueryWait); v != "" {
		if q.wait, err = time.ParseDuration(v); err != nil || q.wait < 0 || q.wait > events.MaxWait {
			return q, requestError(events.QueryWait + " must be a duration of at most " + events.MaxWait.String())
		}
	}
	return q, nil
}

func (h *handler) pull(o *outbox, r *http.Request, _ []byte) ([]byte, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(q.wait)
	for {
		coming := o.coming()
		out, err := h.read(r.Context(), func() ([]byte, error) { return o.lines(q.sink, q.after, q.limit, false) })
		if err != nil || len(out) > 0 || !time.Now().Before(end) {
			return out, err
		}
		if err := h.wait(r.Context(), coming, end); err != nil {
			return nil, err
		}
	}
}

// wait waits for an event until a deadline.
func (h *handler) wait(ctx context.Context, coming <-chan struct{}, end time.Time) error {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return events.ErrUnavailable
	}
	t := time.NewTimer(time.Until(end))
	defer t.Stop()
	select {
	case <-coming:
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (h *handler) deadLetters(o *outbox, r *http.Request, _ []byte) ([]byte, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	return h.read(r.Context(), func() ([]byte, error) { return o.lines(q.sink, q.after, q.limit, true) })
}

func (h *handler) status(*outbox, *http.Request, []byte) ([]byte, error) {
	st, ok := h.box.Status()
	if !ok {
		return nil, events.ErrUnknownSink
	}
	return json.Marshal(st)
}

func (h *handler) ack(o *outbox, _ *http.Request, body []byte) ([]byte, error) {
	var a events.Ack
	if err := json.Unmarshal(body, &a); err != nil || a.Cursor == "" {
		return nil, requestError("the body must be an object with a sink and a cursor")
	}
	return []byte("{}"), o.ack(a.Sink, a.Cursor)
}

func (h *handler) bury(o *outbox, r *http.Request, body []byte) ([]byte, error) {
	var d events.Dead
	if err := json.Unmarshal(body, &d); err != nil || d.Cursor == "" {
		return nil, requestError("the body must be an object with a sink, a cursor and a reason")
	}
	return h.read(r.Context(), func() ([]byte, error) { return []byte("{}"), o.bury(d.Sink, d.Cursor, d.Reason) })
}

// selection makes dead letters pending again, or drops them.
func (h *handler) selection(replay bool) func(*outbox, *http.Request, []byte) ([]byte, error) {
	return func(o *outbox, _ *http.Request, body []byte) ([]byte, error) {
		var s events.Selection
		if err := json.Unmarshal(body, &s); err != nil || len(s.IDs) == 0 && !s.All {
			return nil, requestError("the body must be an object with a sink, and ids or all")
		}
		return h.read(context.Background(), func() ([]byte, error) {
			n, err := o.selectDead(s, replay)
			if err != nil {
				return nil, err
			}
			return json.Marshal(events.Done{Count: n})
		})
	}
}
