package handshake

import (
	"errors"
	"time"

	"golang.org/x/crypto/ssh"
)

// Outcome is how a handshake ended that logged nobody in.
type Outcome int

// Outcomes. Where several are true, the first is meant.
const (
	// NoCommonAlgorithm is a client that has none of the algorithms of some kind.
	NoCommonAlgorithm Outcome = iota
	// TimedOut is one that took longer than it may.
	TimedOut
	// TooMuch is one that sent more, or exchanged keys more often, than a login takes.
	TooMuch
	// Silent is one that sent nothing, as a load balancer's probe.
	Silent
	// Left is one that left, or whose network did, before keys were exchanged.
	Left
	// ProtocolError is one that spoke something else than SSH.
	ProtocolError
	// NotLoggedIn is one that exchanged keys. Why it did not log in, the callbacks know.
	NotLoggedIn
)

// Failure is the end of a handshake that logged nobody in.
type Failure struct {
	Outcome Outcome
	// Err is what x/crypto says.
	Err error
}

func (h *Handshake) failure(err error) *Failure {
	return &Failure{Outcome: h.outcome(err), Err: err}
}

func (h *Handshake) outcome(err error) Outcome {
	var negotiation *ssh.AlgorithmNegotiationError
	switch {
	case errors.As(err, &negotiation):
		return NoCommonAlgorithm
	case !time.Now().Before(h.deadline):
		return TimedOut
	case h.excess.Load():
		return TooMuch
	case h.received.Load() == 0:
		return Silent
	case h.peer != nil:
		return NotLoggedIn
	case h.broken.Load():
		return Left
	}
	return ProtocolError
}
