package entry

import (
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// confirmWithin is how long a password or a TOTP secret is used after its Secret has changed, until
// it has been read again. Most changes are of a label or another entry, and those must not end a
// session.
const confirmWithin = 300 * time.Millisecond

// Bounds of the time between two reads of a reference after an error.
const (
	minBackoff = time.Second
	maxBackoff = time.Minute
)

// A reference that changes again and again is read burst times, and then once in refill.
const (
	burst  = 5
	refill = 10 * time.Second
)

// record is what is known of a reference. The Reader's mutex protects it.
type record struct {
	ref credentials.Ref
	// listeners that refer to it.
	listeners map[types.NamespacedName]bool
	// entry as it was read last.
	entry credentials.Entry
	// asOf is the version of the Secret up to which the entry is current, "" for none.
	asOf string
	// wanted is the version of the Secret in the cache, "" if there is none, and wantedSince when
	// that was first seen.
	wanted      string
	wantedSince time.Time
	// staleSince is when the first version that the entry does not cover was seen.
	staleSince time.Time
	// dropped reports whether the listeners have been told that the secret is not used any more.
	dropped bool
	// hashed is the password that was hashed last.
	hashed hashed

	// busy reports whether a read is queued or under way.
	busy bool
	// failure is why the last read failed, failures how many did in a row, and retryAt when the
	// next one may be.
	failure  string
	failures int
	retryAt  time.Time
	// spent are the reads of the burst that have not been refilled at spentAt.
	spent   float64
	spentAt time.Time
	// mark identifies what is known: it is another one after each change.
	mark uint64
	// alarm is when the timer fires, zero for never.
	alarm time.Time
	timer *time.Timer
}

// hashed recognizes a password that was hashed before, without keeping it.
type hashed struct {
	mac      []byte
	password *config.Password
}

// missing notes that the cache has no such Secret.
func (r *record) missing() {
	if r.wanted == "" && r.entry.Known {
		return
	}
	r.entry, _ = credentials.Read(r.ref, nil, nil) // the error is that of a hash
	r.mark = nextMark()
	// What was there may come back with the same version, after a relist.
	r.asOf, r.wanted, r.staleSince, r.dropped = "", "", time.Time{}, false
	r.failure, r.failures, r.retryAt = "", 0, time.Time{}
}

// want notes the version that the cache has.
func (r *record) want(version string, now time.Time) {
	if r.wanted == version {
		return
	}
	if r.wanted == "" {
		if r.entry.Known {
			r.entry = credentials.Entry{} // that it was missing is not true any more
		}
		r.mark = nextMark()
	}
	r.wanted, r.wantedSince = version, now
	if !r.current() && r.staleSince.IsZero() {
		r.staleSince = now
	}
}

// current reports whether the entry covers the version in the cache, which may lag behind.
func (r *record) current() bool {
	return r.wanted == "" || r.wanted == r.asOf || r.asOf != "" && !newer(r.wanted, r.asOf)
}

// newer reports whether a version is newer than another one. Versions that cannot be compared
// count as newer: then the Secret is read once more.
func newer(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || order > 0
}

// install takes over what was read when the cache had a version.
func (r *record) install(e credentials.Entry, h hashed, asOf string) {
	r.entry, r.asOf, r.mark = e, asOf, nextMark()
	r.failure, r.failures, r.retryAt = "", 0, time.Time{}
	r.dropped = false
	if h.password != nil {
		r.hashed = h
	}
	if r.staleSince = r.wantedSince; r.current() {
		r.staleSince = time.Time{}
	}
}

// fail notes that a read failed, and reports whether that is news.
func (r *record) fail(text string, now time.Time) bool {
	news := r.failure != text
	r.failure, r.mark = text, nextMark()
	r.retryAt = now.Add(min(maxBackoff, minBackoff<<min(r.failures, 6)))
	r.failures++
	return news
}

// losable reports whether the entry is of a kind that is not used when it may have changed.
func (r *record) losable() bool {
	return r.ref.Kind != credentials.KindKeys && r.ref.Kind != credentials.KindFile && r.entry.Known
}

// unconfirmed reports whether the entry is too old to be used.
func (r *record) unconfirmed(now time.Time) bool {
	return r.losable() && !r.current() && !now.Before(r.staleSince.Add(confirmWithin))
}

// shown is the entry as a listener gets it.
func (r *record) shown(now time.Time) credentials.Entry {
	e := r.entry
	if r.unconfirmed(now) {
		e = credentials.Entry{Version: e.Version}
	}
	if !r.current() {
		e.Failure = r.failure
	}
	return e
}

// marks are those that were given. Their first bit is that of lost.
var marks atomic.Uint64

func nextMark() uint64 { return marks.Add(2) }

// marked is the mark of what shown returns.
func (r *record) marked(now time.Time) uint64 {
	if r.unconfirmed(now) {
		return r.mark | 1
	}
	return r.mark
}

// readableAt is when the next read may begin.
func (r *record) readableAt(now time.Time) time.Time {
	r.spent = max(0, r.spent-float64(now.Sub(r.spentAt))/float64(refill))
	r.spentAt = now
	at := r.retryAt
	if over := r.spent - (burst - 1); over > 0 {
		// A nanosecond more than the rounded time: a timer that fires too early would be set again.
		if paced := now.Add(time.Duration(over*float64(refill)) + 1); paced.After(at) {
			at = paced
		}
	}
	return at
}
