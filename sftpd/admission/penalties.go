package admission

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
)

// Penalize adds the penalty of an event to the source.
func (p *Place) Penalize(e penalty.Event) {
	if p.origin.penalized() {
		p.admission.penalties.Add(p.origin.source, e, p.origin.maxPenalty)
	}
}

// PenalizeHolding adds the penalty for having held the place until now and left without a credential.
func (p *Place) PenalizeHolding() {
	if p.origin.penalized() {
		p.admission.penalties.AddHeld(p.origin.source, time.Since(p.accepted), p.origin.maxPenalty)
	}
}

// PenalizeLogin adds the penalty of a refused credential.
func (p *Place) PenalizeLogin(username string) {
	if p.origin.penalized() {
		p.admission.penalties.AddLogin(p.origin.source, username, p.origin.maxPenalty)
	}
}

// Barred reports whether a user is penalized at this source.
func (p *Place) Barred(username string) bool {
	return p.origin.penalized() && p.admission.penalties.RefusesLogin(p.origin.source, username)
}

// ResetPenalty resets the penalty of a user who has logged in.
func (p *Place) ResetPenalty(username string) {
	if p.origin.penalized() {
		p.admission.penalties.Reset(p.origin.source, username)
	}
}
