// Package keyuse remembers the day on which each key of each user last logged in, which host keys were proved to which users'
// clients, and which users' logins were refused. These records are lost when the process ends: the operator polls them in time.
package keyuse

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// key identifies a key of a user. The same public key is a different one for a different user.
type key struct{ uid, fingerprint string }

// use is the last use of a key.
type use struct {
	day string
	// sequence is the number of the change that set day.
	sequence uint64
}

// Tracker holds the uses and proofs. It is safe for concurrent use; a nil Tracker records nothing. It has at most one entry for
// each key of a current user that logged in, for each proof of a current host key to a current user, and for each user with
// refused logins, at about 250 bytes each.
type Tracker struct {
	instance string

	mu       sync.Mutex
	sequence uint64 // mu protects it and the fields below
	// acknowledged is the sequence that a caller has acknowledged.
	acknowledged uint64
	uses         map[key]use
	// proofs are the sequences of the first proofs of host keys.
	proofs map[key]uint64
	// refused are the refused logins, by the user's UID.
	refused map[string]refusals
}

// New returns an empty Tracker.
func New() *Tracker {
	return &Tracker{instance: rand.Text(), uses: map[key]use{}, proofs: map[key]uint64{}, refused: map[string]refusals{}}
}

// Note records a login. Days are in UTC, so that pods in different time zones agree, and never go back when the clock does.
func (b *Tracker) Note(uid, fingerprint string, now time.Time) {
	if b == nil {
		return
	}
	k, day := key{uid, fingerprint}, now.UTC().Format(time.DateOnly)
	b.mu.Lock()
	defer b.mu.Unlock()
	if day > b.uses[k].day { // ISO dates sort lexically
		b.sequence++
		b.uses[k] = use{day: day, sequence: b.sequence}
	}
}

// NoteProof records that a user's client has received a proof of a host key.
func (b *Tracker) NoteProof(uid, fingerprint string) {
	if b == nil {
		return
	}
	k := key{uid, fingerprint}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, noted := b.proofs[k]; !noted {
		b.sequence++
		b.proofs[k] = b.sequence
	}
}

// Keep forgets the uses of users that no longer exist, once a caller has received them: a user may be deleted within a
// minute of its login. Uses of earlier days are forgotten anyway, because there may be no caller at all. Proofs are kept
// only for current users and host keys.
func (b *Tracker) Keep(present, hostKey func(string) bool, now time.Time) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	today := now.UTC().Format(time.DateOnly)
	for k, u := range b.uses {
		if !present(k.uid) && (u.sequence <= b.acknowledged || u.day < today) {
			delete(b.uses, k)
		}
	}
	for k := range b.proofs {
		if !present(k.uid) || !hostKey(k.fingerprint) {
			delete(b.proofs, k)
		}
	}
}

// Since returns what has changed since an earlier report of this Tracker; everything if that report came from a different one,
// such as an earlier process's. The oldest changes come first: if there are more than limit, the caller asks again after these.
func (b *Tracker) Since(instance string, sequence uint64, limit int) config.KeyUseReport {
	b.mu.Lock()
	defer b.mu.Unlock()
	if instance != b.instance {
		sequence = 0
	}
	b.acknowledged = max(b.acknowledged, min(sequence, b.sequence))
	r := config.KeyUseReport{Instance: b.instance, Sequence: b.sequence, Uses: []config.KeyUse{}}
	last, more := b.cut(sequence, limit)
	if r.More = more; more {
		r.Sequence = last
	}
	for k, u := range b.uses {
		if u.sequence > sequence && u.sequence <= last {
			r.Uses = append(r.Uses, config.KeyUse{UID: k.uid, Fingerprint: k.fingerprint, Day: u.day})
		}
	}
	for k, noted := range b.proofs {
		if noted > sequence && noted <= last {
			r.HostKeyProofs = append(r.HostKeyProofs, config.HostKeyProof{UID: k.uid, Fingerprint: k.fingerprint})
		}
	}
	for _, e := range b.refused {
		if e.sequence > sequence && e.sequence <= last {
			r.Refusals = append(r.Refusals, e.LoginRefusals)
		}
	}
	return r
}

// cut returns the sequence of the last change after a given one, or of the last one that the limit allows. Each change has its
// own sequence.
func (b *Tracker) cut(after uint64, limit int) (last uint64, more bool) {
	var changes []uint64
	for _, u := range b.uses {
		if u.sequence > after {
			changes = append(changes, u.sequence)
		}
	}
	for _, noted := range b.proofs {
		if noted > after {
			changes = append(changes, noted)
		}
	}
	for _, e := range b.refused {
		if e.sequence > after {
			changes = append(changes, e.sequence)
		}
	}
	if len(changes) <= limit {
		return b.sequence, false
	}
	slices.Sort(changes)
	return changes[limit-1], true
}
