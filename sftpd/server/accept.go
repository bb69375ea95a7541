package server

import (
	"errors"
	"net"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

const (
	// firstBackoff and lastBackoff bound the growing wait after a failed accept: out of
	// descriptors, a loop without a wait would take a CPU and fill the log.
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = time.Second
)

// keepAlive finds peers that are gone: after two minutes without a packet they get
// asked, and after another minute without an answer the connection ends.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 2 * time.Minute, Interval: 15 * time.Second, Count: 4}

// Serve accepts connections until the listener is closed, and closes it. It returns
// ErrServerClosed after Shutdown or Close, and else what the listener says. It may be
// called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.track(l) {
		return ErrServerClosed
	}
	s.background.Do(func() {
		go s.sweep()
		go s.reportOpen()
		go s.refusals.run(s.ctx)
	})
	wait := time.Duration(0)
	for {
		raw, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			s.accepted(raw)
			continue
		case s.isDraining():
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return err
		}
		if wait == 0 {
			s.Log.Error("cannot accept connections", "error", err)
		}
		s.Metrics.Refusal(reasonAcceptFailed)
		wait = min(max(firstBackoff, 2*wait), lastBackoff)
		time.Sleep(wait)
	}
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.closing = append(s.closing, l)
	return true
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// accepted starts a connection's goroutine, or closes it. It does not block.
func (s *Server) accepted(raw net.Conn) {
	c := newConn(s, raw)
	current := s.Current()
	if reason := s.welcome(c, current); reason != "" {
		drop(raw, reason)
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
func (s *Server) welcome(c *conn, current *snapshot.Snapshot) (reason string) {
	switch {
	case current == nil:
		return reasonNotConfigured
	case s.Audit.Blocked() > 0:
		// Nobody can log in, since a login waits for its line. Connections that wait, too, would only grow in number.
		return reasonAuditBlocked
	case current.Proxies == nil:
		return s.guard(c, current)
	}
	c.origin = originOf(c.source(), current)
	if !current.Proxies.Contains(c.source()) {
		return reasonNotProxy
	}
	displaced, reason := s.registry.addUnknown(c, s.limitsOf(current))
	if displaced != nil {
		displaced.abort(reasonDisplaced)
	}
	return reason
}
