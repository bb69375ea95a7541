// Package keyuse remembers the day on which each key of each user last logged in, and which
// host keys were proved to clients of which users. What it knows ends with the process:
// whoever wants to keep it asks in time.
package keyuse

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// key of a user. The same key of another user is another one.
type key struct{ uid, fingerprint string }

// use is the last one of a key.
type use struct {
	day string
	// sequence is the number of the change that set day.
	sequence uint64
}

// Book holds the uses and proofs. It is safe for concurrent use; a nil Book notes nothing. It
// holds no more entries than keys of present users have logged in, and than present users
// have seen proofs of present host keys, at some 250 bytes each.
type Book struct {
	instance string

	mu       sync.Mutex
	sequence uint64 // mu protects it and what follows
	// told is the sequence that a caller is known to have.
	told uint64
	uses map[key]use
	// proofs are the sequences of the first proofs of host keys.
	proofs map[key]uint64
}

// New returns an empty book.
func New() *Book { return &Book{instance: rand.Text(), uses: map[key]use{}, proofs: map[key]uint64{}} }

// Note notes a login. Days are those of UTC, so that pods in different places agree, and
// never go back when the clock does.
func (b *Book) Note(uid, fingerprint string, now time.Time) {
	if b == nil {
		return
	}
	k, day := key{uid, fingerprint}, now.UTC().Format(time.DateOnly)
	b.mu.Lock()
	defer b.mu.Unlock()
	if day > b.uses[k].day { // as texts they compare like days
		b.sequence++
		b.uses[k] = use{day: day, sequence: b.sequence}
	}
}

// NoteProof notes that a client of a user has seen the proof of a host key.
func (b *Book) NoteProof(uid, fingerprint string) {
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

// Keep forgets the uses of users that are not present any more, once a caller has been told
// of them: a user may go in the minute of its login. Those of days before are forgotten
// anyway, for there may be no caller at all. Of proofs it keeps those that still count, which
// are of users and host keys that are present.
func (b *Book) Keep(present, hostKey func(string) bool, now time.Time) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	today := now.UTC().Format(time.DateOnly)
	for k, u := range b.uses {
		if !present(k.uid) && (u.sequence <= b.told || u.day < today) {
			delete(b.uses, k)
		}
	}
	for k := range b.proofs {
		if !present(k.uid) || !hostKey(k.fingerprint) {
			delete(b.proofs, k)
		}
	}
}

// Since returns what has changed after a report that this book gave before; all of it if
// that came from another book, such as the one of a process that has ended. The oldest
// changes come first: where there are more than limit, the caller asks again after these.
func (b *Book) Since(instance string, sequence uint64, limit int) config.KeyUseReport {
	b.mu.Lock()
	defer b.mu.Unlock()
	if instance != b.instance {
		sequence = 0
	}
	b.told = max(b.told, min(sequence, b.sequence))
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
	return r
}

// cut returns the sequence of the last of the changes after another one, or of as many of them
// as the limit allows. Each change has a sequence of its own.
func (b *Book) cut(after uint64, limit int) (last uint64, more bool) {
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
	if len(changes) <= limit {
		return b.sequence, false
	}
	slices.Sort(changes)
	return changes[limit-1], true
}
