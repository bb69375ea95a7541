package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/admission"
	"github.com/sftp-operator/sftp-operator/sftpd/directories"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/flow"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
	"github.com/sftp-operator/sftp-operator/sftpd/peruser"
	"github.com/sftp-operator/sftp-operator/sftpd/report"
	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/sweep"
)

// conn is one connection, from accept to close.
type conn struct {
	server *Server
	tcp    net.Conn // as it was accepted
	raw    *flow.Conn
	place  *admission.Place
	// client is the client's address, invalid if the connection is not TCP. Behind a proxy it is the proxy's until its
	// header is read.
	client netip.Addr
	// about is what is known about the connection before it is described.
	about event.Connection
	// handshake is set before the login, and requests key exchanges after it.
	handshake *handshake.Handshake
	// settings are set once, by sessions.admit, and nil before.
	settings *settings
	// account is the account of the user, set with settings. described is how events describe the session, set after that.
	account   *peruser.Account
	described *event.Connection
	// directories holds the user's directories, set with described.
	directories *directories.Directories
	// report emits events about the session's files, set with described.
	report *report.Reporter
	// opener is notified of files that are opened. It is set along with described.
	opener *report.Opener

	// ctx ends when the connection ends or has to end.
	ctx       context.Context
	cancel    context.CancelFunc
	endOnce   sync.Once
	endReason atomic.Pointer[event.Reason] // why the daemon closed it, nil while it has not
	// revoked is set if the end has its own audit record.
	revoked atomic.Bool
	// watch ends the session when its time is over.
	watch *sweep.Watch

	// working counts the goroutines of channels.
	working sync.WaitGroup

	mu       sync.Mutex
	channels int
	files    map[*sftp.Session]struct{}
	lastUsed time.Time
}

func newConn(s *Server, raw net.Conn) *conn {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	now := time.Now()
	c := &conn{
		server: s, tcp: raw, lastUsed: now, files: map[*sftp.Session]struct{}{},
		about: event.Connection{ID: hex.EncodeToString(id[:]), Accepted: now, Source: raw.RemoteAddr().String()},
	}
	c.place = s.admission.NewPlace(now, c.abort)
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	c.watch = s.watches.Watch(c)
	c.raw = s.totals.Conn(raw, flow.Hooks{Touch: c.watch.Touch, Overrun: func() { c.End(event.UnreadData) }})
	if a, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		c.client = a.AddrPort().Addr().Unmap()
	}
	return c
}

// serve runs in the goroutine of the connection.
func (c *conn) serve(s *snapshot.Snapshot) {
	c.server.emit(event.ConnectionOpened{})
	defer func() {
		c.raw.Close()
		c.cancel()
		c.raw.Settle()
		if c.account != nil {
			c.account.Leave()
		}
		c.watch.End()
		if c.directories != nil {
			c.directories.Close()
		}
		c.server.sessions.leave(c)
		c.place.Leave()
		c.server.emit(event.ConnectionClosed{})
	}()
	defer func() { c.Panicked(recover()) }()
	var stream net.Conn = c.raw
	if s.Proxies != nil {
		behind, ok := c.behindProxy(s)
		if !ok {
			return
		}
		stream = behind
	}
	sc, ok := c.logIn(c.ctx, s, stream)
	if !ok {
		return
	}
	begin := time.Now()
	defer func() {
		_ = sc.Close() // it is being closed
		c.cancel()
		if c.revoked.Load() {
			c.server.emit(event.SessionRevoked{Connection: c.describe(), Reason: c.closed()})
		}
		c.working.Wait()
		c.opener.End()
		c.report.End()
		c.server.emit(event.Logout{Connection: c.describe(), Reason: c.closed(), Duration: time.Since(begin)})
	}()
	c.serveChannels(c.ctx, sc)
}

// Panicked ends a connection whose code panicked, and no other one. Nil means no panic.
func (c *conn) Panicked(v any) {
	if v != nil {
		c.server.emit(event.Refused{Reason: event.InternalError})
		c.server.Log.Error("connection panicked", "connection", c.about.ID, "panic", v, "stack", string(debug.Stack()))
		c.End(event.InternalError)
		if c.settings == nil {
			c.place.Penalize(penalty.Crash)
		}
	}
}

// abort closes a connection without a login. The first reason given is logged and counted when the connection's goroutine ends.
func (c *conn) abort(reason event.Reason) { c.endOnce.Do(func() { c.close(reason) }) }

// End closes a session. The first reason given is logged.
func (c *conn) End(reason event.Reason) {
	c.endOnce.Do(func() {
		c.close(reason)
		c.server.emit(event.SessionEnding{Reason: reason})
	})
}

// revoke is like End, but also writes an audit record before that of the logout.
func (c *conn) revoke(reason event.Reason) {
	c.endOnce.Do(func() {
		c.revoked.Store(true)
		c.close(reason)
		c.server.emit(event.SessionEnding{Reason: reason})
	})
}

// close ends a connection. It does not block, because callers have other connections to close: the connection's own
// goroutine writes what there is to log.
func (c *conn) close(reason event.Reason) {
	c.endReason.Store(&reason)
	c.cancel()
	c.raw.Close()
}

// closed returns why the daemon closed the connection, "" while it has not.
func (c *conn) closed() event.Reason {
	if r := c.endReason.Load(); r != nil {
		return *r
	}
	return ""
}

// LastActivity returns when the client last made a request. Keepalives do not count.
func (c *conn) LastActivity() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.lastUsed
	for f := range c.files {
		if t := f.LastActivity(); t.After(last) {
			last = t
		}
	}
	return last
}

// OpenFiles returns how many files the client has open.
func (c *conn) OpenFiles() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for f := range c.files {
		n += f.OpenFiles()
	}
	return n
}

// refuse reports a connection that ends before a user is named.
func (c *conn) refuse(reason event.Reason, detail string) {
	c.server.emit(event.ConnectionRefused{Connection: c.describe(), Reason: reason, Detail: detail})
}
