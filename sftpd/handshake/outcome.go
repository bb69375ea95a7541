package handshake

import (
	"errors"
	"time"

	"golang.org/x/crypto/ssh"
)

// Outcome is how a handshake without a login ended.
type Outcome int

// Outcomes. If several apply, the first one is used.
const (
	// NoCommonAlgorithm is a client with which no algorithm of some kind is shared.
	NoCommonAlgorithm Outcome = iota
	// TimedOut is a client that took too long.
	TimedOut
	// TooMuch is a client that sent more, or exchanged keys more often, than a login takes.
	TooMuch
	// Silent is a client that sent nothing, like a load balancer's probe.
	Silent
	// Left is a client that disconnected, or lost its network, before keys were exchanged.
	Left
	// ProtocolError is a client that did not speak SSH.
	ProtocolError
	// NoTriesLeft is a client that was disconnected because it had used up its attempts to authenticate.
	NoTriesLeft
	// NotLoggedIn is any other client that exchanged keys. The authentication callbacks know why it did not log in.
	NotLoggedIn
)

// Failure is the error of a handshake without a login.
type Failure struct {
	Outcome Outcome
	// Err is x/crypto's error.
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
	case noTriesLeft(err):
		return NoTriesLeft
	case h.peer != nil:
		return NotLoggedIn
	case h.broken.Load():
		return Left
	}
	return ProtocolError
}

// noTriesLeft reports whether x/crypto ended a login because of [ssh.ServerConfig.MaxAuthTries]. Its disconnect message, which
// has no exported type, is the last of the login's errors. Counting refusals would not do: x/crypto counts queries about keys
// separately.
func noTriesLeft(err error) bool {
	failed, ok := errors.AsType[*ssh.ServerAuthError](err)
	if !ok || len(failed.Errors) == 0 {
		return false
	}
	last := failed.Errors[len(failed.Errors)-1]
	return last != nil && last.Error() == `ssh: disconnect, reason 2: "too many authentication failures"`
}
