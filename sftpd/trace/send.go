package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// maxAnswer bounds how much of a response is read so that the connection can be reused.
const maxAnswer = 64 << 10

// deliver sends what is queued, and retries until the collector has answered or ctx ends.
// The pauses in between grow, and differ between daemons.
func (x *Exporter) deliver(ctx context.Context) {
	if x.fill(); x.sending.spans == 0 {
		return
	}
	for pause := x.times.pause; ; pause = min(2*pause, x.times.maxPause) {
		again, after := x.attempt(ctx)
		if !again {
			return
		}
		wait := max(pause/2+rand.N(pause/2+1), min(after, x.times.maxPause)) //nolint:gosec // not a secret
		select {
		case <-ctx.Done():
			return // sendLast handles it
		case <-time.After(wait):
		}
	}
}

// fill takes what is queued, unless an earlier batch is still unsent.
func (x *Exporter) fill() {
	if x.sending.spans == 0 {
		x.sending = x.queue.take()
	}
}

// attempt sends the batch once. It reports whether another attempt may succeed, and how
// long the collector wants it delayed, 0 if it did not say.
func (x *Exporter) attempt(ctx context.Context) (again bool, after time.Duration) {
	t := x.target.Load()
	if t == nil { // it was turned off
		x.finish(Dropped)
		return false, 0
	}
	status, after, err := x.post(ctx, t)
	switch {
	case err != nil:
		again = true
	case status/100 == 2:
		if x.failing {
			x.failing = false
			x.log.Info("traces are sent again")
		}
		x.finish(Sent)
		return false, 0
	default:
		err = fmt.Errorf("the collector answered %d %s", status, http.StatusText(status))
		again = retryable(status)
	}
	if !x.failing && !errors.Is(err, context.Canceled) {
		x.failing = true
		x.log.Warn("traces cannot be sent", "error", err)
	}
	if !again {
		x.finish(Refused)
	}
	return again, after
}

func (x *Exporter) finish(result string) {
	x.count(result, x.sending.spans)
	x.sending = batch{}
}

// retryable reports whether OTLP clients retry after this response ("Retryable Response Codes").
func retryable(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func (x *Exporter) post(ctx context.Context, t *target) (status int, after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, x.times.answer)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(t.request.body(x.sending.data)))
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "sftpd/"+x.version)
	resp, err := x.client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // the code is enough
	return resp.StatusCode, retryAfter(resp.Header.Get("Retry-After")), nil
}

// retryAfter reads a number of seconds (RFC 9110 section 10.2.3). A date is ignored: the
// pauses grow anyway.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(header, 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
