package send

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/guard"
)

const (
	// maxAnswer is how many bytes of an answer's body are read, so that the connection can be used again. They are discarded.
	maxAnswer = 64 << 10
	// maxHeader bounds the header of an answer in bytes.
	maxHeader = 16 << 10
	// bodyTime is how long to wait for the body of an answer. Only the status matters.
	bodyTime = 2 * time.Second
	// dialTime bounds connecting, including the resolution of the name.
	dialTime = 10 * time.Second
)

// Sender sends events to one sink. It is safe for concurrent use.
type Sender struct {
	sink   delivery.Sink
	secret []byte
	client *http.Client
	agent  string
}

// Result is the result of an attempt.
type Result struct {
	// Status of the answer, 0 if there was none.
	Status int
	// RetryAfter is that header of the answer.
	RetryAfter string
	// Failure is why there was no answer.
	Failure string
}

// Options of a Sender.
type Options struct {
	// Parallel is how many attempts are made at a time, and how many connections are kept.
	Parallel int
	// Denied are addresses to which nothing is ever sent.
	Denied []netip.Addr
	// Version for the User-Agent.
	Version string
}

// New returns a Sender. Its errors quote no part of a credential.
func New(s delivery.Sink, o Options) (*Sender, error) {
	g, err := guard.New(s, o.Denied...)
	if err != nil {
		return nil, err
	}
	config, err := tlsConfig(s)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTime, Control: g.Control}
	return &Sender{
		sink: s, secret: secretOf(s.HMAC), agent: "sftp-operator-relay/" + o.Version,
		client: &http.Client{
			// HTTP/1.1 only, and no proxy: the environment is not part of the configuration.
			Transport: &http.Transport{
				DialContext: dialer.DialContext, TLSClientConfig: config, TLSHandshakeTimeout: dialTime,
				MaxIdleConnsPerHost: o.Parallel, MaxConnsPerHost: 2 * o.Parallel, IdleConnTimeout: time.Minute,
				MaxResponseHeaderBytes: maxHeader, DisableCompression: true,
				TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func tlsConfig(s delivery.Sink) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CABundle != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(s.CABundle)) {
			return nil, errors.New("the CA bundle contains no certificate in PEM format")
		}
	}
	if s.ClientCertificate != "" {
		pair, err := tls.X509KeyPair([]byte(s.ClientCertificate), []byte(s.ClientKey))
		if err != nil {
			return nil, errors.New("the client's certificate or private key is invalid, or they do not match")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Send makes one attempt to send an event in structured JSON.
func (s *Sender) Send(ctx context.Context, event []byte, now time.Time) Result {
	m, err := Encode(event, s.sink.Format)
	if err != nil {
		// Every attempt would end the same way. The pods check what they record, so this is a bug.
		return Result{Status: http.StatusBadRequest}
	}
	ctx, cancel := context.WithTimeout(ctx, s.sink.Timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.sink.URL, bytes.NewReader(m.Body))
	if err != nil {
		return Result{Failure: "the URL cannot be used"}
	}
	req.Header = m.Header
	req.Header.Set("User-Agent", s.agent)
	if s.sink.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+s.sink.Bearer)
	}
	if len(s.secret) > 0 {
		sign(req.Header, s.secret, m.ID, m.Body, now)
	}
	resp, err := s.client.Do(req) //nolint:bodyclose // discard closes the body
	if err != nil {
		return Result{Failure: describe(err, s.sink.Timeout())}
	}
	discard(resp.Body)
	return Result{Status: resp.StatusCode, RetryAfter: resp.Header.Get("Retry-After")}
}

// discard reads a little of a body, for a short time, and closes it. A connection whose answer was not read to the end is also
// closed.
func discard(body io.ReadCloser) {
	stop := time.AfterFunc(bodyTime, func() { _ = body.Close() })
	_, _ = io.Copy(io.Discard, io.LimitReader(body, maxAnswer))
	stop.Stop()
	_ = body.Close()
}

// Close closes connections that are not in use.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// describe returns why there was no answer. Errors of net/http quote URLs and what a receiver sent, so only known errors are
// described.
func describe(err error, timeout time.Duration) string {
	var (
		dns     *net.DNSError
		op      *net.OpError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		verify  *tls.CertificateVerificationError
		timed   net.Error
	)
	switch {
	case errors.Is(err, guard.ErrAddress):
		return guardText(err)
	case errors.Is(err, context.Canceled):
		return "the relay is shutting down"
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return "the host name does not exist"
		}
		return "the host name cannot be resolved"
	case errors.As(err, &unknown):
		return "TLS: the receiver's certificate is signed by an unknown authority; set caBundle"
	case errors.As(err, &name):
		return "TLS: the receiver's certificate is for a different name"
	case errors.As(err, &invalid):
		return "TLS: the receiver's certificate is not valid: " + reasonOf(invalid)
	case errors.As(err, &verify):
		return "TLS: the receiver's certificate cannot be verified"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "TLS: the receiver does not speak TLS"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timed) && timed.Timeout():
		return fmt.Sprintf("no answer within %s", timeout)
	case errors.As(err, &op) && strings.HasSuffix(op.Op, "error"): // crypto/tls: remote error, local error
		return "TLS: " + strings.TrimPrefix(lastOf(op.Err).Error(), "tls: ")
	case errors.As(err, &op):
		return fmt.Sprintf("%s: %s", op.Op, lastOf(op.Err))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the receiver closed the connection without an answer"
	}
	return "the answer is not HTTP"
}

// guardText returns the part of an error that comes from Guard.
func guardText(err error) string {
	for err != nil {
		next := errors.Unwrap(err)
		if next == nil || errors.Is(next, guard.ErrAddress) && next == guard.ErrAddress { //nolint:errorlint // the error itself, not one that wraps it
			return err.Error()
		}
		err = next
	}
	return guard.ErrAddress.Error()
}

func reasonOf(e x509.CertificateInvalidError) string {
	if e.Reason == x509.Expired {
		return "it has expired or is not valid yet"
	}
	return "its chain breaks a rule"
}

// lastOf returns the innermost error, such as that of a system call.
func lastOf(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
