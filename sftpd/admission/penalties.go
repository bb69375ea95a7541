package admission

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
)

// Penalize counts what the source did.
func (p *Place) Penalize(e penalty.Event) {
	if p.origin.penalized() {
		p.admission.penalties.Add(p.origin.source, e, p.origin.maxPenalty)
	}
}

// PenalizeHolding counts that it held the place until now and left without a credential.
func (p *Place) PenalizeHolding() {
	if p.origin.penalized() {
		p.admission.penalties.AddHeld(p.origin.source, time.Since(p.accepted), p.origin.maxPenalty)
	}
}

// PenalizeLogin counts a credential that was refused.
func (p *Place) PenalizeLogin(username string) {
	if p.origin.penalized() {
		p.admission.penalties.AddLogin(p.origin.source, username, p.origin.maxPenalty)
	}
}

// Barred reports whether a user is to be refused from here.
func (p *Place) Barred(username string) bool {
	return p.origin.penalized() && p.admission.penalties.RefusesLogin(p.origin.source, username)
}

// Forgive is for a user who has logged in.
func (p *Place) Forgive(username string) {
	if p.origin.penalized() {
		p.admission.penalties.Forgive(p.origin.source, username)
	}
}
