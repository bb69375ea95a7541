package trace

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Emit implements event.Sink: it sends the span of a login, a transfer, or the end of a session, if its connection is
// sampled, without blocking. Other events have no spans, so clients that cannot log in cause none.
//
// A trace has no state of its own. The root's ID is the connection's ID in the audit log,
// and the trace's ID is the same twice, so a line there leads to its trace. The ID also
// decides on sampling, so either all spans of a connection are sampled or none.
func (x *Exporter) Emit(e event.Event) {
	if x == nil {
		return
	}
	t := x.target.Load()
	if t == nil {
		return
	}
	var s *span
	switch e := e.(type) {
	case event.Login:
		if sampled(e.ID, t.percent) {
			s = spanOfLogin(e)
		}
	case event.Transfer:
		if sampled(e.ID, t.percent) {
			s = spanOfTransfer(e)
		}
	case event.Logout:
		if sampled(e.ID, t.percent) {
			s = spanOfSession(e)
		}
	}
	if s == nil {
		return
	}
	data, err := json.Marshal(s)
	if err != nil {
		x.count(Dropped, 1) // strings and numbers can always be encoded
		return
	}
	x.queue.add(data)
}

// sampled decides by the connection's ID, 16 random hexadecimal digits.
func sampled(connection string, percent int) bool {
	if len(connection) != 16 {
		return false
	}
	id, err := strconv.ParseUint(connection, 16, 64)
	return err == nil && id%100 < uint64(percent)
}

// spanOf returns a span of a connection, from its accept until now.
func spanOf(c *event.Connection) (s *span, now time.Time) {
	// By the monotonic clock: setting the wall clock must not distort a trace.
	now = c.Accepted.Add(time.Since(c.Accepted))
	s = &span{TraceID: c.ID + c.ID, Kind: kindInternal}
	s.between(c.Accepted, now)
	s.text("user.name", event.Cut(c.User, event.MaxName))
	s.text("sftp.account", c.Account)
	return s, now
}

// below makes a span a child of the session.
func (s *span) below(c *event.Connection) *span {
	s.ParentSpanID, s.SpanID = c.ID, newID()
	return s
}

func (s *span) credentials(c *event.Connection) {
	s.texts("sftp.methods", c.Methods)
	if len(c.Keys) > 0 {
		s.text("sftp.key_fingerprint", c.Keys[0])
	}
}

func spanOfSession(e event.Logout) *span {
	s, _ := spanOf(e.Connection)
	s.Name, s.SpanID, s.Kind = "sftp session", e.ID, kindServer
	peer := e.Source
	if e.Proxy != "" {
		peer = e.Proxy
	}
	s.address("client.address", "client.port", e.Source)
	s.address("network.peer.address", "network.peer.port", peer)
	s.text("network.transport", "tcp")
	s.text("network.protocol.name", "ssh")
	s.text("sftp.client_version", event.Cut(e.ClientVersion, event.MaxName))
	s.credentials(e.Connection)
	s.text("sftp.end_reason", event.Cut(string(e.Reason), event.MaxName))
	return s
}

func spanOfLogin(e event.Login) *span {
	s, _ := spanOf(e.Connection)
	s.Name = "login"
	s.credentials(e.Connection)
	s.text("sftp.key_exchange", e.Algorithms.KeyExchange)
	s.text("sftp.cipher", e.Algorithms.Cipher)
	s.text("sftp.mac", e.Algorithms.MAC)
	s.text("sftp.host_key_algorithm", e.Algorithms.HostKey)
	s.text("sftp.public_key_algorithm", e.Algorithms.PublicKey)
	return s.below(e.Connection)
}

func spanOfTransfer(e event.Transfer) *span {
	s, now := spanOf(e.Connection)
	s.Name = e.Direction
	s.between(now.Add(-e.Duration), now)
	s.text("file.path", event.Cut(e.Path, event.MaxPath))
	s.number("sftp.bytes_read", e.BytesRead)
	s.number("sftp.bytes_written", e.BytesWritten)
	s.text("sftp.left", e.Left)
	if e.Result != event.OK {
		s.text("error.type", string(e.Result))
		s.Status = &status{Code: codeError, Message: event.Cut(e.Error, event.MaxName)}
	}
	return s.below(e.Connection)
}

// address adds an address and its port. If the connection is not TCP, there is neither.
func (s *span) address(address, port, addrPort string) {
	a, err := netip.ParseAddrPort(addrPort)
	if err != nil {
		return
	}
	s.text(address, a.Addr().Unmap().String())
	s.number(port, uint64(a.Port()))
}

// newID returns a span's ID. It is not secret, and only has to be unique within its trace.
// An all-zero ID would be invalid.
func newID() string { return fmt.Sprintf("%016x", rand.Uint64()|1) } //nolint:gosec // see above
