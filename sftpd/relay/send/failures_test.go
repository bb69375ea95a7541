package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/relay/guard"
)

// TestNamesOfFailures: an operator learns what to correct from the status of a sink, in words that contain nothing that the
// receiver sent.
func TestNamesOfFailures(t *testing.T) {
	op := func(name string, err error) error { return &net.OpError{Op: name, Net: "tcp", Err: err} }
	call := os.NewSyscallError
	verify := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{&net.DNSError{Err: "no such host", Name: "hunter2", IsNotFound: true}, "the host name does not exist"},
		{op("dial", &net.DNSError{Err: "server misbehaving", Name: "hunter2"}), "the host name cannot be resolved"},
		{&net.DNSError{Err: "i/o timeout", Name: "hunter2", IsTimeout: true}, "the host name cannot be resolved"},
		{op("dial", call("connect", syscall.ECONNREFUSED)), "dial: connection refused"},
		{op("dial", call("connect", syscall.EHOSTUNREACH)), "dial: no route to host"},
		{op("read", call("read", syscall.ECONNRESET)), "read: connection reset by peer"},
		{op("dial", os.ErrDeadlineExceeded), "no answer within 7s"},
		{op("dial", call("connect", syscall.ETIMEDOUT)), "no answer within 7s"},
		{context.DeadlineExceeded, "no answer within 7s"},
		{context.Canceled, "the relay is shutting down"},
		{io.EOF, "the receiver closed the connection without an answer"},
		{io.ErrUnexpectedEOF, "the receiver closed the connection without an answer"},
		{verify(x509.UnknownAuthorityError{}), "TLS: the receiver's certificate is signed by an unknown authority; set caBundle"},
		{verify(x509.HostnameError{Host: "hunter2", Certificate: &x509.Certificate{}}), "TLS: the receiver's certificate is for a different name"},
		{verify(x509.CertificateInvalidError{Reason: x509.Expired}), "TLS: the receiver's certificate is not valid: it has expired or is not valid yet"},
		{verify(errors.New("hunter2")), "TLS: the receiver's certificate cannot be verified"},
		{tls.RecordHeaderError{Msg: "hunter2"}, "TLS: the receiver does not speak TLS"},
		{http.ErrSchemeMismatch, "TLS: the receiver does not speak TLS"},
		{op("remote error", tls.AlertError(42)), "TLS: bad certificate"},
		{op("local error", tls.AlertError(70)), "TLS: protocol version not supported"},
		{op("dial", fmt.Errorf("%w: 10.0.0.1 is private", guard.ErrAddress)), guard.ErrAddress.Error() + ": 10.0.0.1 is private"},
		{errors.New("malformed HTTP response \"hunter2\""), "the answer is not HTTP"},
	} {
		if got := describe(&neturl.Error{Op: "Post", URL: "http://hunter2", Err: c.err}, 7*time.Second); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

// TestRetryAfter: when a receiver says when to try again, that is part of the result.
func TestRetryAfter(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		url := raw(t, says(fmt.Sprintf("HTTP/1.1 %d x\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n", status)))
		if r := newSender(t, sink(url)).Send(t.Context(), []byte(event), time.Now()); r != (Result{Status: status, RetryAfter: "120"}) {
			t.Errorf("%+v", r)
		}
	}
}

// TestConnections: events of a sink share a connection if the receiver answers shortly, which speaks HTTP/1.1 without compression; one
// with an answer that is too long to be read is not used again; and a sink that is gone keeps no connection.
func TestConnections(t *testing.T) {
	for name, c := range map[string]struct {
		body int
		want int32
	}{"no body": {0, 1}, "a short one": {maxAnswer / 2, 1}, "a long one": {64 * maxAnswer, 5}} {
		var opened, closed atomic.Int32
		gone := make(chan struct{})
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 1 || r.Header.Get("Accept-Encoding") != "" || r.Header.Get("Connection") != "" {
				t.Errorf("%s %v", r.Proto, r.Header)
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = w.Write(make([]byte, c.body))
		}))
		s.EnableHTTP2 = true
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				opened.Add(1)
			case http.StateClosed:
				if closed.Add(1) == c.want {
					close(gone)
				}
			case http.StateActive, http.StateIdle, http.StateHijacked:
			}
		}
		s.Start()
		t.Cleanup(s.Close)
		to := newSender(t, sink(s.URL))
		for range 5 {
			if r := to.Send(t.Context(), []byte(event), time.Now()); r.Status != http.StatusOK {
				t.Fatalf("%s: %+v", name, r)
			}
		}
		if n := opened.Load(); n != c.want {
			t.Errorf("%s: %d connections, want %d", name, n, c.want)
		}
		to.Close()
		<-gone
	}
}
