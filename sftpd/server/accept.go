package server

import (
	"net"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/admission"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// keepAlive finds peers that are gone: after two minutes without a packet they get
// asked, and after another minute without an answer the connection ends.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 2 * time.Minute, Interval: 15 * time.Second, Count: 4}

// Serve accepts connections until the listener is closed, and closes it. It returns
// admission.ErrClosed after Shutdown or Close, and else what the listener says. It may be
// called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	s.background.Do(func() { // which ends with ctx
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
	if reason := s.welcome(c, current); reason != "" {
		admission.Drop(raw, reason)
		c.refuse(reason, "")
		c.cancel()
		return
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive) // without it the idle timeout does the same later
	}
	s.Processors.Login()
	go c.serve(current)
}

// welcome decides on what is known at accept. Who the client is behind a proxy, its own
// goroutine reads; until then it counts with those that are not logged in.
func (s *Server) welcome(c *conn, current *snapshot.Snapshot) (reason event.Reason) {
	switch {
	case current == nil:
		return event.NotConfigured
	case s.auditBlocked():
		// Nobody can log in, since a login waits for its line. Connections that wait, too, would only grow in number.
		return event.AuditLogBlocked
	case current.Proxies == nil:
		return c.place.Connect(c.client, current)
	}
	return c.place.ConnectProxy(c.client, current)
}
