package watch

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// HTTPStatusClient asks relays over HTTP. Anything may listen at a relay's address, so an answer counts only if it is sealed with
// the key.
type HTTPStatusClient struct {
	client http.Client
}

// NewHTTPStatusClient returns a StatusClient that uses no proxy and follows no redirects.
func NewHTTPStatusClient() *HTTPStatusClient {
	return &HTTPStatusClient{client: http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: requestTimeout}).DialContext,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: 45 * time.Second, MaxResponseHeaderBytes: 16 << 10, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Status implements StatusClient.
func (a *HTTPStatusClient) Status(ctx context.Context, t Target) (delivery.Status, error) {
	var st delivery.Status
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Address+delivery.StatusPath, http.NoBody)
	if err != nil {
		return st, errors.New("its address is invalid")
	}
	nonce := rand.Text()
	req.Header.Set(events.NonceHeader, nonce)
	req.Header.Set(events.ProofHeader, events.Proof([]byte(t.Key), nonce, req.Method, req.URL.RequestURI(), nil))
	resp, err := a.client.Do(req)
	if err != nil {
		return st, errors.New(plain(err))
	}
	defer resp.Body.Close()
	const limit = delivery.MaxStatus + events.SealOverhead
	sealed, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return st, errors.New(plain(err))
	case resp.StatusCode != http.StatusOK:
		return st, fmt.Errorf("it answered with HTTP status %d", resp.StatusCode)
	case len(sealed) > limit:
		return st, fmt.Errorf("its answer has more than %d bytes", delivery.MaxStatus)
	}
	body, err := events.Open([]byte(t.Key), nonce, sealed)
	if err != nil {
		return st, errors.New("its answer is not sealed with the listener's key")
	}
	if err := json.Unmarshal(body, &st); err != nil {
		return st, errors.New("its answer cannot be read")
	}
	return st, nil
}

// plain returns a network error without addresses and ports: it is shown in a status, which must be stable.
func plain(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "it does not answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + innermost(op.Err).Error()
	}
	return "the connection was closed"
}

func innermost(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
