package events

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client asks daemons for their events. It is safe for concurrent use.
type Client struct {
	// Key as ParseKey returns it.
	Key []byte
	// HTTP sends the requests. Redirects are not followed. It needs no timeout, because contexts end requests.
	HTTP *http.Client
}

// Query is the query of Pull and DeadLetters.
type Query struct {
	Sink string
	// After is the cursor after which the answer begins. "" stands for what the sink has acknowledged, or for all dead
	// letters.
	After string
	// Limit is the maximum number of events, 1 to MaxLimit.
	Limit int
	// Wait is how long to wait for the first event, at most MaxWait.
	Wait time.Duration
}

// Errors of a Client, by the daemon's status code.
var (
	// ErrUnauthorized: the daemon has a different key.
	ErrUnauthorized = errors.New("the daemon has a different key")
	// ErrUnknownSink: the daemon's configuration does not contain the sink, or the daemon records no events.
	ErrUnknownSink = errors.New("the daemon does not have this sink")
	// ErrOtherLog: the cursor is not from this daemon. Pull without one.
	ErrOtherLog = errors.New("the cursor is from another daemon")
	// ErrNotPending: the event is no longer pending; it was acknowledged, dropped or is a dead letter.
	ErrNotPending = errors.New("the event is not pending")
	// ErrUnavailable: the daemon cannot answer now. Try again later.
	ErrUnavailable = errors.New("the daemon cannot answer now")
)

// Pull returns pending events of a sink, in their order. base is http://host:port of the daemon's status port.
func (c *Client) Pull(ctx context.Context, base string, q Query) ([]Line, error) {
	return c.lines(ctx, base+Path, q)
}

// DeadLetters returns dead letters of a sink, the oldest first.
func (c *Client) DeadLetters(ctx context.Context, base string, q Query) ([]Line, error) {
	return c.lines(ctx, base+DeadPath, q)
}

// Ack acknowledges all events of a sink up to a cursor.
func (c *Client) Ack(ctx context.Context, base string, a Ack) error {
	return c.post(ctx, base+AckPath, a, nil)
}

// Dead turns an event into a dead letter.
func (c *Client) Dead(ctx context.Context, base string, d Dead) error {
	d.Reason = Text(d.Reason, MaxReason)
	return c.post(ctx, base+DeadPath, d, nil)
}

// Replay makes dead letters pending again, and returns their number.
func (c *Client) Replay(ctx context.Context, base string, s Selection) (int, error) {
	var done Done
	err := c.post(ctx, base+ReplayPath, s, &done)
	return done.Count, err
}

// Drop removes dead letters, and returns their number.
func (c *Client) Drop(ctx context.Context, base string, s Selection) (int, error) {
	var done Done
	err := c.post(ctx, base+DropPath, s, &done)
	return done.Count, err
}

// Status returns what the daemon reports about its events.
func (c *Client) Status(ctx context.Context, base string) (*Status, error) {
	answer, err := c.do(ctx, http.MethodGet, base+StatusPath, nil)
	if err != nil {
		return nil, err
	}
	status := new(Status)
	if err := json.Unmarshal(answer, status); err != nil {
		return nil, fmt.Errorf("status of events: %w", err)
	}
	return status, nil
}

func (c *Client) lines(ctx context.Context, address string, q Query) ([]Line, error) {
	values := url.Values{QuerySink: {q.Sink}, QueryLimit: {strconv.Itoa(q.Limit)}}
	if q.After != "" {
		values.Set(QueryAfter, q.After)
	}
	if q.Wait > 0 {
		values.Set(QueryWait, q.Wait.String())
	}
	answer, err := c.do(ctx, http.MethodGet, address+"?"+values.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return ParseLines(answer)
}

// ParseLines parses an answer's lines. It returns an error if one is not a Line, or if there are more than MaxLimit.
func ParseLines(answer []byte) ([]Line, error) {
	var out []Line
	for raw := range bytes.Lines(answer) {
		if len(out) == MaxLimit {
			return nil, fmt.Errorf("answer with more than %d events", MaxLimit)
		}
		var l Line
		if err := json.Unmarshal(raw, &l); err != nil {
			return nil, fmt.Errorf("line of events: %w", err)
		}
		if l.Cursor == "" || len(l.Event) == 0 {
			return nil, errors.New("line of events without a cursor or an event")
		}
		out = append(out, l)
	}
	return out, nil
}

func (c *Client) post(ctx context.Context, address string, body, answer any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	got, err := c.do(ctx, http.MethodPost, address, raw)
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(got, answer); err != nil {
		return fmt.Errorf("answer about events: %w", err)
	}
	return nil
}

// do sends a request and returns its answer, unsealed.
func (c *Client) do(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	nonce := rand.Text()
	req.Header.Set(NonceHeader, nonce)
	req.Header.Set(ProofHeader, Proof(c.Key, nonce, method, req.URL.RequestURI(), body))
	client := http.Client{}
	if c.HTTP != nil {
		client = *c.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	const limit = MaxAnswer + MaxSize + SealOverhead
	answer, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode != http.StatusOK:
		return nil, refusal(resp.StatusCode, answer)
	case len(answer) > limit:
		return nil, fmt.Errorf("answer of more than %d bytes", limit)
	}
	return Open(c.Key, nonce, answer)
}

// refusal returns the error for a status code. The text of a refusal is not authenticated, so only its beginning is quoted.
func refusal(code int, text []byte) error {
	say := Text(strings.TrimSpace(string(text)), 200)
	switch code {
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s", ErrUnknownSink, say)
	case http.StatusConflict:
		return ErrOtherLog
	case http.StatusGone:
		return ErrNotPending
	case http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %s", ErrUnavailable, say)
	}
	return fmt.Errorf("HTTP status %d: %s", code, say)
}
