package server

import (
	"net"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/admission"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// keepAlive finds peers that are gone: after two minutes without a packet they are probed,
// and after another minute without an answer the connection ends.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 2 * time.Minute, Interval: 15 * time.Second, Count: 4}

// Serve accepts connections until the listener is closed, and closes it. It returns
// admission.ErrClosed after Shutdown or Close, otherwise the listener's error. It may be
// called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	s.background.Do(func() { // both end with ctx
		go s.sweep()
		go s.reportOpen()
	})
	return s.admission.Serve(l, s.accepted, func(err error, first bool) {
		if first {
			s.Log.Error("cannot accept connections", "error", err)
		}
		s.emit(event.Refused{Reason: event.AcceptFailed})
	})
}

// accepted starts a connection's goroutine, or closes it. It does not block.
func (s *Server) accepted(raw net.Conn) {
	c := newConn(s, raw)
	current := s.Current()
	if reason := s.checkAccept(c, current); reason != "" {
		admission.Drop(raw, reason)
		c.refuse(reason, "")
		c.cancel()
		return
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive) // best effort: the idle timeout does the same later
	}
	s.Processors.Login()
	go c.serve(current)
}

// checkAccept decides by what is known at accept. Behind a proxy, the connection's goroutine finds out who the client is;
// until then it counts as a login in progress.
func (s *Server) checkAccept(c *conn, current *snapshot.Snapshot) (reason event.Reason) {
	switch {
	case current == nil:
		return event.NotConfigured
	case s.auditBlocked():
		// No login can succeed, since it waits for its audit line. Waiting connections would only pile up.
		return event.AuditLogBlocked
	case current.Proxies == nil:
		return c.place.Connect(c.client, current)
	}
	return c.place.ConnectProxy(c.client, current)
}
