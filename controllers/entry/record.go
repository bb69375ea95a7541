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

// Bounds of the time between reads of a reference after an error.
const (
	minBackoff = time.Second
	maxBackoff = time.Minute
)

// A reference that changes repeatedly is read burst times, and then once per refill.
const (
	burst  = 5
	refill = 10 * time.Second
)

// record is what is known about a reference. The Reader's mutex guards it.
type record struct {
	ref credentials.Ref
	// listeners that refer to it.
	listeners map[types.NamespacedName]bool
	// entry is the entry as last read.
	entry credentials.Entry
	// asOf is the version of the Secret up to which the entry is current, "" for none.
	asOf string
	// wanted is the version of the Secret in the cache, "" if there is none, and wantedSince when
	// that was first seen.
	wanted      string
	wantedSince time.Time
	// staleSince is when the first version that the entry does not cover was seen.
	staleSince time.Time
	// dropped is set once the listeners have been told that the secret is no longer used.
	dropped bool
	// hashed is the last hashed password.
	hashed hashed

	// busy is set while a read is queued or in progress.
	busy bool
	// failure is why the last read failed, failures is how many failed in a row, and retryAt is
	// when to retry.
	failure  string
	failures int
	retryAt  time.Time
	// spent are the reads of the burst that have not been refilled at spentAt.
	spent   float64
	spentAt time.Time
	// mark identifies what is known: it differs after each change.
	mark uint64
	// alarm is when the timer fires, zero for never.
	alarm time.Time
	timer *time.Timer
}

// hashed recognizes a password that has already been hashed, without keeping it.
type hashed struct {
	mac      []byte
	password *config.Password
}

// missing records that the cache has no such Secret.
func (r *record) missing() {
	if r.wanted == "" && r.entry.Known {
		return
	}
	r.entry, _ = credentials.Read(r.ref, nil, nil) // the error was from hashing
	r.mark = nextMark()
	// After a relist, it may come back with the same version.
	r.asOf, r.wanted, r.staleSince, r.dropped = "", "", time.Time{}, false
	r.failure, r.failures, r.retryAt = "", 0, time.Time{}
}

// want records the version in the cache.
func (r *record) want(version string, now time.Time) {
	if r.wanted == version {
		return
	}
	if r.wanted == "" {
		if r.entry.Known {
			r.entry = credentials.Entry{} // it is no longer missing
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

// install stores what was read when the cache had a version.
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

// fail records that a read failed, and reports whether that changes anything.
func (r *record) fail(text string, now time.Time) bool {
	news := r.failure != text
	r.failure, r.mark = text, nextMark()
	r.retryAt = now.Add(min(maxBackoff, minBackoff<<min(r.failures, 6)))
	r.failures++
	return news
}

// losable reports whether the entry is of a kind that is not used once it may have changed.
func (r *record) losable() bool {
	return r.ref.Kind != credentials.KindKeys && r.ref.Kind != credentials.KindFile && r.entry.Known
}

// unconfirmed reports whether the entry is too old to be used.
func (r *record) unconfirmed(now time.Time) bool {
	return r.losable() && !r.current() && !now.Before(r.staleSince.Add(confirmWithin))
}

// shown returns the entry for listeners.
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

// marks counts the marks given. The first bit of a mark is for lost.
var marks atomic.Uint64

func nextMark() uint64 { return marks.Add(2) }

// marked returns the mark of what shown returns.
func (r *record) marked(now time.Time) uint64 {
	if r.unconfirmed(now) {
		return r.mark | 1
	}
	return r.mark
}

// readableAt returns when the next read may begin.
func (r *record) readableAt(now time.Time) time.Time {
	r.spent = max(0, r.spent-float64(now.Sub(r.spentAt))/float64(refill))
	r.spentAt = now
	at := r.retryAt
	if over := r.spent - (burst - 1); over > 0 {
		// A nanosecond more than the rounded time: a timer that fires too early would have to be set again.
		if paced := now.Add(time.Duration(over*float64(refill)) + 1); paced.After(at) {
			at = paced
		}
	}
	return at
}
