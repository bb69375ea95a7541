package send

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// sink returns one that may be on this machine.
func sink(url string) delivery.Sink {
	return delivery.Sink{
		Name: "test", URL: url, Reach: delivery.ReachPublic, Networks: []string{"127.0.0.0/8", "::1/128"},
		Format: delivery.FormatStructured, TimeoutSeconds: 30, GiveUpSeconds: 60,
		Bearer: "hunter2-token", HMAC: "hunter2-secret",
	}
}

func newSender(t *testing.T, s delivery.Sink) *Sender {
	t.Helper()
	out, err := New(s, Options{Parallel: 4, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Close)
	return out
}

// raw is a receiver that does what it likes with a connection, after it has read the request's header.
func raw(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 64<<10))
				do(c)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func says(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// Receivers that fail, lie, hang or flood always give a result, in bounded time, that quotes neither a credential nor
// anything that they sent.
func TestHostileReceivers(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	var followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(elsewhere.Close)
	closed, _ := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	_ = closed.Close()
	selfSigned := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(selfSigned.Close)
	selfSigned.Config.ErrorLog = nil
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	t.Cleanup(old.Close)

	for name, c := range map[string]struct {
		url    string
		status int
		want   string // of Failure
		within time.Duration
	}{
		"accepted":       {raw(t, says("HTTP/1.1 204 No Content\r\n\r\n")), 204, "", 0},
		"an hour of 500": {raw(t, says("HTTP/1.1 500 hunter2-token\r\nContent-Length: 0\r\n\r\n")), 500, "", 0},
		"a redirect":     {raw(t, says("HTTP/1.1 301 x\r\nLocation: "+elsewhere.URL+"\r\nContent-Length: 0\r\n\r\n")), 301, "", 0},
		"a redirect of the body": {
			raw(t, says("HTTP/1.1 307 x\r\nLocation: "+elsewhere.URL+"\r\nContent-Length: 0\r\n\r\n")), 307, "", 0,
		},
		"hangs":               {raw(t, func(net.Conn) { <-hang }), 0, "no answer within 2s", 5 * time.Second},
		"hangs in the header": {raw(t, func(c net.Conn) { says("HTTP/1.1 200 OK\r\nX: ")(c); <-hang }), 0, "no answer within 2s", 5 * time.Second},
		"hangs in the body":   {raw(t, func(c net.Conn) { says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")(c); <-hang }), 200, "", 5 * time.Second},
		"drips": {raw(t, func(c net.Conn) {
			says("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")(c)
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		}), 200, "", 5 * time.Second},
		"garbage":            {raw(t, says("hunter2-token\x00\xff\r\n\r\n")), 0, "the answer is not HTTP", 0},
		"garbage, long":      {raw(t, says(strings.Repeat("\xff", 1<<20))), 0, "the answer is not HTTP", 0},
		"a header of 1 MiB":  {raw(t, says("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("a", 1<<20)+"\r\n\r\n")), 0, "the answer is not HTTP", 0},
		"closes":             {raw(t, func(net.Conn) {}), 0, "the receiver closed the connection without an answer", 0},
		"no one there":       {"http://" + closed.Addr().String(), 0, "dial: connection refused", 0},
		"no such name":       {"http://does-not-exist.invalid", 0, "the host name", 20 * time.Second},
		"self-signed":        {selfSigned.URL, 0, "TLS: the receiver's certificate is signed by an unknown authority; set caBundle", 0},
		"TLS 1.1":            {old.URL, 0, "TLS: ", 0},
		"HTTP in place of S": {strings.Replace(raw(t, says("HTTP/1.1 200 OK\r\n\r\n")), "http:", "https:", 1), 0, "TLS: the receiver does not speak TLS", 0},
		"10 GiB":             {raw(t, flood), 200, "", 10 * time.Second},
		"1xx without end":    {raw(t, func(c net.Conn) { says(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100_000))(c) }), 0, "the answer is not HTTP", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sink(c.url)
			s.TimeoutSeconds = 60 // a busy machine may take seconds for a TLS handshake
			if strings.HasPrefix(c.want, "no answer") {
				s.TimeoutSeconds = 2
			}
			began := time.Now()
			r := newSender(t, s).Send(t.Context(), []byte(event), time.Now())
			took := time.Since(began)
			if r.Status != c.status || !strings.HasPrefix(r.Failure, c.want) || (c.want == "") != (r.Failure == "") {
				t.Errorf("%+v, want status %d, %q", r, c.status, c.want)
			}
			if strings.Contains(r.Failure, "hunter2") || strings.Contains(r.Failure, "\xff") || len(r.Failure) > 200 {
				t.Errorf("it quotes something: %q", r.Failure)
			}
			if limit := max(c.within, 20*time.Second) * 2; took > limit {
				t.Errorf("it took %s", took)
			}
			t.Logf("RECEIVER %-24s status %3d %q after %s", name, r.Status, r.Failure, took.Round(10*time.Millisecond))
		})
	}
	t.Cleanup(func() {
		if followed.Load() > 0 {
			t.Error("a redirect was followed")
		}
	})
}

// flood sends an answer of 10 GiB as fast as it can.
func flood(c net.Conn) {
	says(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 10<<30))(c)
	chunk := make([]byte, 64<<10)
	for range 10 << 30 / len(chunk) {
		if _, err := c.Write(chunk); err != nil {
			return
		}
	}
}

// Answers without end cost no memory, however many there are.
func TestFloodsCostNoMemory(t *testing.T) {
	s := newSender(t, sink(raw(t, flood)))
	for range 20 {
		if r := s.Send(t.Context(), []byte(event), time.Now()); r.Status != 200 {
			t.Fatalf("%+v", r)
		}
	}
	runtime.GC()
	var m runtime.MemStats
	if runtime.ReadMemStats(&m); m.HeapAlloc > 32<<20 {
		t.Errorf("heap of %d MiB", m.HeapAlloc>>20)
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := newSender(t, sink(raw(t, func(net.Conn) {}))).Send(ctx, []byte(event), time.Now()); r.Failure != "the relay is shutting down" {
		t.Errorf("%+v", r)
	}
}

// Where a sink may not be, nothing is sent, and the reason names the rule.
func TestAddresses(t *testing.T) {
	var got atomic.Int32
	h := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
	t.Cleanup(h.Close)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(h.URL, "http://"))
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"} {
		s := sink("http://" + host + ":" + port)
		s.Networks = nil
		if r := newSender(t, s).Send(t.Context(), []byte(event), time.Now()); !strings.HasPrefix(r.Failure, "events may not be sent to this address: ") {
			t.Errorf("%s: %+v", host, r)
		}
	}
	if got.Load() > 0 {
		t.Error("something was sent")
	}
}

func TestClientCertificates(t *testing.T) {
	certificate, key, pool := authority(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.PeerCertificates[0].Subject.CommonName != "relay" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	to := sink(s.URL)
	to.CABundle = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	if r := newSender(t, to).Send(t.Context(), []byte(event), time.Now()); r.Status != 0 {
		t.Errorf("without a certificate: %+v", r)
	}
	to.ClientCertificate, to.ClientKey = certificate, key
	if r := newSender(t, to).Send(t.Context(), []byte(event), time.Now()); r.Status != 200 {
		t.Errorf("with one: %+v", r)
	}
	to.ClientKey = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----"
	if _, err := New(to, Options{}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("an invalid key: %v", err)
	}
	to.CABundle = "none"
	if _, err := New(to, Options{}); err == nil {
		t.Error("a bundle without a certificate was taken")
	}
}

func TestDescribeQuotesNothing(t *testing.T) {
	if got := describe(errors.New("net/http: hunter2"), time.Second); strings.Contains(got, "hunter2") {
		t.Errorf("%q", got)
	}
}
