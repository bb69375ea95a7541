package metrics

import (
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Emit implements event.Sink. It does not block.
func (m *Metrics) Emit(e event.Event) {
	switch e := e.(type) {
	case event.ConnectionOpened:
		m.connections.Inc()
	case event.ConnectionClosed:
		m.connections.Dec()
	case event.Probe:
		m.probes.Inc()
	case event.Refused:
		m.refusal(e.Reason)
	case event.ConnectionRefused:
		m.refusal(e.Reason)
	case event.KeyRefused:
		m.loginRefused(e.Method, e.Reason)
	case event.LoginRefused:
		m.loginRefused(e.Method, e.Reason)
	case event.Login:
		m.logins.WithLabelValues(strings.Join(e.Methods, ","), "ok").Inc()
		m.sessions.Inc()
		m.algorithms(e.Algorithms)
	case event.SessionEnding:
		m.revocations.WithLabelValues(string(e.Reason)).Inc()
	case event.Logout:
		m.sessions.Dec()
		m.sessionTime.Observe(e.Duration.Seconds())
	case event.HostKeyProof:
		m.hostKeyProofs.WithLabelValues(answered[e.Answered]).Inc()
	case event.Transfer:
		m.transfer(e)
	case event.Operation:
		m.operations.WithLabelValues(e.Operation, string(e.Result)).Inc()
		m.hashed.Add(float64(e.BytesRead))
	case event.FileExpired:
		m.expired.WithLabelValues(e.Rule).Inc()
		m.expiredBytes.WithLabelValues(e.Rule).Add(float64(e.Size))
	}
}

var answered = map[bool]string{true: "answered", false: "refused"}

// loginRefused counts a refused credential of an SSH method; without a method, the end of a connection.
func (m *Metrics) loginRefused(method string, reason event.Reason) {
	if method != "" {
		m.logins.WithLabelValues(method, "refused").Inc()
	}
	m.refusal(reason)
}

func (m *Metrics) refusal(reason event.Reason) { m.refusals.WithLabelValues(string(reason)).Inc() }

func (m *Metrics) transfer(t event.Transfer) {
	m.transferTime.WithLabelValues(t.Direction).Observe(t.Duration.Seconds())
	m.transfers.WithLabelValues(t.Direction, string(t.Result)).Inc()
	m.transferBytes.WithLabelValues("download").Add(float64(t.BytesRead))
	m.transferBytes.WithLabelValues("upload").Add(float64(t.BytesWritten))
}
