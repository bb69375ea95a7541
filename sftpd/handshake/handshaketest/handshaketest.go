// Package handshaketest provides in-memory connections for tests in simulated time (testing/synctest), where sockets cannot
// be used.
package handshaketest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Pipe returns the ends of a connection. Unlike those of net.Pipe they are buffered, as SSH needs: both sides write first.
func Pipe() (client, server net.Conn) {
	c, s := net.Pipe()
	return newEnd(c), newEnd(s)
}

// end is one end, whose writes are buffered.
type end struct {
	net.Conn
	mu     sync.Mutex
	closed bool
	queue  chan []byte
}

func newEnd(c net.Conn) *end {
	const packets = 1000 // more than a test has in flight
	e := &end{Conn: c, queue: make(chan []byte, packets)}
	go func() {
		defer c.Close()
		for p := range e.queue {
			if _, err := c.Write(p); err != nil {
				return
			}
		}
	}()
	return e
}

// Write implements net.Conn.
func (e *end) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, net.ErrClosed
	}
	e.queue <- bytes.Clone(p)
	return len(p), nil
}

// Close implements net.Conn. What was written before still arrives.
func (e *end) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.closed = true
		close(e.queue)
	}
	return nil
}

// Key returns a new host key.
func Key(t testing.TB) ssh.MultiAlgorithmSigner {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	all, ok := key.(ssh.AlgorithmSigner)
	if !ok {
		t.Fatal("a signer without algorithms")
	}
	signer, err := ssh.NewSignerWithAlgorithms(all, []string{ssh.KeyAlgoED25519})
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// Dial logs in to a server that asks for no credentials.
func Dial(t testing.TB, c net.Conn) ssh.Conn {
	t.Helper()
	trusting := &ssh.ClientConfig{HostKeyCallback: ssh.InsecureIgnoreHostKey()} //nolint:gosec // in memory
	conn, channels, requests, err := ssh.NewClientConn(c, "", trusting)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	go func() {
		for range channels {
			t.Error("the server opens a channel")
		}
	}()
	return conn
}
