package metrics

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Connection counts an open TCP connection until the returned function is called.
func (m *Metrics) Connection() (closed func()) {
	m.connections.Inc()
	return m.connections.Dec
}

// Session counts a logged-in connection until the returned function is called.
func (m *Metrics) Session() (ended func()) {
	m.sessions.Inc()
	begin := time.Now()
	return func() {
		m.sessions.Dec()
		m.sessionTime.Observe(time.Since(begin).Seconds())
	}
}

// TCPProbe counts a connection that said nothing.
func (m *Metrics) TCPProbe() { m.probes.Inc() }

// Login counts a login by the methods that succeeded, such as "publickey+password".
func (m *Metrics) Login(methods string) { m.logins.WithLabelValues(methods, "ok").Inc() }

// LoginRefused counts a refused credential of an SSH method.
func (m *Metrics) LoginRefused(method string, reason event.Reason) {
	m.logins.WithLabelValues(method, "refused").Inc()
	m.Refusal(reason)
}

// Refusal counts a connection that was refused for another reason than a credential.
func (m *Metrics) Refusal(reason event.Reason) { m.refusals.WithLabelValues(string(reason)).Inc() }

// Revocation counts a session that the daemon closed.
func (m *Metrics) Revocation(reason event.Reason) {
	m.revocations.WithLabelValues(string(reason)).Inc()
}

// HostKeyProof counts a request for proofs of host keys.
func (m *Metrics) HostKeyProof(answered bool) {
	result := "refused"
	if answered {
		result = "answered"
	}
	m.hostKeyProofs.WithLabelValues(result).Inc()
}

// Transfer counts a file that was closed, with the bytes read by and written by the
// client, and the time for which it was open.
func (m *Metrics) Transfer(direction, result string, read, written uint64, open time.Duration) {
	m.transferTime.WithLabelValues(direction).Observe(open.Seconds())
	m.transfers.WithLabelValues(direction, result).Inc()
	m.transferBytes.WithLabelValues("download").Add(float64(read))
	m.transferBytes.WithLabelValues("upload").Add(float64(written))
}

// Operation counts a change of a user's tree. The operation is one of the SFTP
// requests that the daemon knows, never a name that a client made up.
func (m *Metrics) Operation(operation, result string) {
	m.operations.WithLabelValues(operation, result).Inc()
}

// Hashed counts the bytes of files of which a client asked for hashes.
func (m *Metrics) Hashed(bytes uint64) { m.hashed.Add(float64(bytes)) }
