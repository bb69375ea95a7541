package keyuse

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// quiet is how long a user must have had no refused login for the next one to start a new count.
const quiet = 24 * time.Hour

// Refusal is a login that was refused.
type Refusal struct {
	At time.Time
	// Reason is an event.Reason, Source the client's address, and Fingerprint that of the last key that was offered.
	Reason, Source, Fingerprint string
}

// refusals are the refused logins of a user, and the number of the change that counted the last one.
type refusals struct {
	config.LoginRefusals
	sequence uint64
}

// NoteRefusal records a login of a known user that was refused. There is one entry for each user, so guessing login names does
// not use more and more memory.
func (b *Tracker) NoteRefusal(uid string, r Refusal) {
	if b == nil || uid == "" {
		return
	}
	at := r.At.UTC().Truncate(time.Second)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sequence++
	e := b.refused[uid]
	if e.Count == 0 || at.Sub(e.Last).Abs() > quiet { // the absolute value, because the clock may be set back
		e.Since, e.Count = at, 0
	}
	e.Count++
	e.UID, e.Last, e.Reason, e.Source, e.Fingerprint, e.sequence = uid, at, r.Reason, r.Source, r.Fingerprint, b.sequence
	b.refused[uid] = e
}

// KeepRefusals forgets the refusals of users that the configuration no longer has, not even as suspended or expired ones.
func (b *Tracker) KeepRefusals(known func(uid string) bool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for uid := range b.refused {
		if !known(uid) {
			delete(b.refused, uid)
		}
	}
}
