package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"
)

// ErrUnsupported means that the server supports none of the algorithms, or does not accept the credential.
var ErrUnsupported = errors.New("not supported")

// Options are how to log in. Empty lists stand for the SSH library's defaults.
type Options struct {
	Addr, User string
	Auth       ssh.AuthMethod
	HostKey    *HostKey
	Ciphers    []string
	MACs       []string
	Exchanges  []string
	// Idle connections have no large buffers.
	Idle bool
}

// HostKey trusts the first key that it sees, and only that one from then on.
type HostKey struct {
	mu  sync.Mutex
	key ssh.PublicKey
}

func (h *HostKey) check(host string, addr net.Addr, key ssh.PublicKey) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.key == nil {
		h.key = key
	}
	return ssh.FixedHostKey(h.key)(host, addr, key)
}

// Dial logs in. The end of the context ends the connection.
func Dial(ctx context.Context, o Options) (*ssh.Client, error) {
	var d net.Dialer
	network, err := d.DialContext(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	wire := network
	if !o.Idle {
		wire = newConn(network)
	}
	stop := context.AfterFunc(ctx, func() { _ = network.Close() })
	config := &ssh.ClientConfig{
		Config:          ssh.Config{Ciphers: o.Ciphers, MACs: o.MACs, KeyExchanges: o.Exchanges},
		User:            o.User,
		Auth:            []ssh.AuthMethod{o.Auth},
		HostKeyCallback: o.HostKey.check,
	}
	c, channels, requests, err := ssh.NewClientConn(wire, o.Addr, config)
	if err != nil {
		stop()
		_ = wire.Close()
		if _, none := errors.AsType[*ssh.AlgorithmNegotiationError](err); none {
			err = fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return nil, err
	}
	client := ssh.NewClient(c, channels, requests)
	go func() {
		_ = client.Wait()
		stop()
	}()
	return client, nil
}

// Session is one SFTP session. Only one goroutine may use it.
type Session struct {
	channel ssh.Channel
	conn    *ssh.Client
	in      *bufio.Reader
	out     []byte
	id      uint32
	packet  []byte
}

// Open logs in and opens an SFTP session.
func Open(ctx context.Context, o Options) (*Session, error) {
	conn, err := Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	s, err := newSession(conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func newSession(conn *ssh.Client) (*Session, error) {
	channel, requests, err := conn.OpenChannel("session", nil)
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(requests)
	ok, err := channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"}))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("the server does not offer the subsystem sftp")
	}
	s := &Session{channel: channel, conn: conn, in: bufio.NewReaderSize(channel, headerBuffer)}
	s.begin(typeInit)
	s.uint32(version)
	if err := s.send(); err != nil {
		return nil, err
	}
	kind, body, err := s.receive()
	if err != nil {
		return nil, err
	}
	if kind != typeVersion || len(body) < 4 {
		return nil, fmt.Errorf("got packet %d instead of VERSION", kind)
	}
	if err := s.askLimits(); err != nil {
		return nil, err
	}
	return s, nil
}

// askLimits sends what OpenSSH's client sends at the start of each session (OpenSSH PROTOCOL, section 4.8). A server without
// the extension answers with an error.
func (s *Session) askLimits() error {
	id := s.next()
	s.request(typeExtended, id)
	s.string("limits@openssh.com")
	_, err := s.call(id, typeExtendedReply)
	if _, refused := errors.AsType[StatusError](err); refused {
		return nil
	}
	return err
}

// Close ends the session and its connection, in the order in which OpenSSH's client does.
func (s *Session) Close() error {
	err := s.channel.CloseWrite()
	// The server's EOF and the channel's close follow.
	_, _ = io.Copy(io.Discard, s.in)
	return errors.Join(err, s.conn.Close())
}
