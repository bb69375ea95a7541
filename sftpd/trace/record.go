package trace

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
)

// Record sends the span of an entry of the audit log, if its connection is sampled: of a
// login, a transfer, or the end of a session. Of other entries there is none, so whoever
// cannot log in makes no span. accepted is when the connection was.
//
// The trace has no state of its own. The root's ID is that of the connection in the audit
// log, and the trace's ID is the same twice: a line there leads to its trace. Whether it is
// sampled is decided by the ID, too, so all spans of a connection are, or none.
func (x *Exporter) Record(e audit.Entry, accepted time.Time) {
	if x == nil {
		return
	}
	t := x.target.Load()
	if t == nil {
		return
	}
	switch e.Event {
	case audit.Login, audit.Transfer, audit.Logout:
	default:
		return
	}
	if !sampled(e.Connection, t.percent) {
		return
	}
	data, err := json.Marshal(spanOf(e, accepted))
	if err != nil {
		x.count(Dropped, 1) // strings and numbers can always be encoded
		return
	}
	x.queue.add(data)
}

// sampled decides by the connection's ID, 16 hexadecimal digits that are random.
func sampled(connection string, percent int) bool {
	if len(connection) != 16 {
		return false
	}
	id, err := strconv.ParseUint(connection, 16, 64)
	return err == nil && id%100 < uint64(percent)
}

func spanOf(e audit.Entry, accepted time.Time) *span {
	// By the monotonic clock: a wall clock that is set must not tear a trace apart.
	now := accepted.Add(time.Since(accepted))
	s := &span{TraceID: e.Connection + e.Connection, Kind: kindInternal}
	s.between(accepted, now)
	s.text("user.name", audit.Cut(e.User, audit.MaxName))
	s.text("sftp.account", e.Account)
	switch e.Event {
	case audit.Logout:
		s.Name, s.SpanID, s.Kind = "sftp session", e.Connection, kindServer
		s.session(e)
		return s
	case audit.Login:
		s.Name = "login"
		s.login(e)
	default:
		s.Name = e.Direction
		s.between(now.Add(-e.Duration), now)
		s.transfer(e)
	}
	s.ParentSpanID, s.SpanID = e.Connection, newID()
	return s
}

func (s *span) session(e audit.Entry) {
	peer := e.Source
	if e.Proxy != "" {
		peer = e.Proxy
	}
	s.address("client.address", "client.port", e.Source)
	s.address("network.peer.address", "network.peer.port", peer)
	s.text("network.transport", "tcp")
	s.text("network.protocol.name", "ssh")
	s.text("sftp.client_version", audit.Cut(e.ClientVersion, audit.MaxName))
	s.texts("sftp.methods", e.Methods)
	s.text("sftp.key_fingerprint", e.KeyFingerprint)
	s.text("sftp.end_reason", audit.Cut(e.Reason, audit.MaxName))
}

func (s *span) login(e audit.Entry) {
	s.texts("sftp.methods", e.Methods)
	s.text("sftp.key_fingerprint", e.KeyFingerprint)
	s.text("sftp.key_exchange", e.KeyExchange)
	s.text("sftp.cipher", e.Cipher)
	s.text("sftp.mac", e.MAC)
	s.text("sftp.host_key_algorithm", e.HostKeyAlgorithm)
	s.text("sftp.public_key_algorithm", e.PublicKeyAlgorithm)
}

func (s *span) transfer(e audit.Entry) {
	s.text("file.path", audit.Cut(e.Path, audit.MaxPath))
	s.number("sftp.bytes_read", e.BytesRead)
	s.number("sftp.bytes_written", e.BytesWritten)
	s.text("sftp.left", e.Left)
	if e.Result != audit.OK {
		s.text("error.type", e.Result)
		s.Status = &status{Code: codeError, Message: audit.Cut(e.Reason, audit.MaxName)}
	}
}

// address adds an address and its port. What is not TCP has neither.
func (s *span) address(address, port, addrPort string) {
	a, err := netip.ParseAddrPort(addrPort)
	if err != nil {
		return
	}
	s.text(address, a.Addr().Unmap().String())
	s.number(port, uint64(a.Port()))
}

// newID returns a span's ID. It is no secret, and only has to differ from the others of its
// trace. An ID of zeros would be none.
func newID() string { return fmt.Sprintf("%016x", rand.Uint64()|1) } //nolint:gosec // see above
