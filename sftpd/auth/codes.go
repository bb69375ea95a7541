package auth

import (
	"maps"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

const (
	// codeReach is how many steps the clock of an app may be off (RFC 6238 section 5.2
	// advises one).
	codeReach = 1
	// skewReach is the number of steps within which a wrong code is attributed to a wrong clock.
	skewReach = 10
	// A user may enter wrongCodes wrong codes, and gets one try back every wrongCodeReturns. So an attacker with the other
	// factors can guess 34 times on the first day and 24 times on each following day: with three of a million codes valid at a
	// time, one guess succeeds less than once in 10,000 days.
	wrongCodes       = 10
	wrongCodeReturns = time.Hour
	// forgotten is the time after which nothing about a user needs to be remembered.
	forgotten = wrongCodes * wrongCodeReturns
)

// codes remembers which codes were used, and how many were wrong. It is safe for concurrent use. It contains only users who
// reached the code step, which strangers never do.
type codes struct {
	// running returns how long the process had been running at a time. Whether earlier codes were used is unknown.
	running func(now time.Time) time.Duration

	mu      sync.Mutex
	users   map[string]codeUse // by UID
	sweepAt int
}

// codeUse is a user's history with one key.
type codeUse struct {
	key totp.Key
	// last is the last step whose code was accepted: this one and earlier ones are used up.
	last int64
	// settled is when wrong codes no longer count.
	settled time.Time
	touched time.Time
}

func newCodes(now time.Time) *codes {
	return &codes{running: func(at time.Time) time.Duration { return at.Sub(now) }, users: map[string]codeUse{}, sweepAt: 1024}
}

// started returns the step in which the process began, by the current clock. A clock that was ahead at startup and has been set
// back would otherwise make all codes too old until it has caught up. time.Sub measures with the monotonic clock, which is
// never set.
func (c *codes) started(now time.Time) int64 { return totp.Step(now.Add(-c.running(now))) }

// check returns why a code is refused, "" if it is right; then it is used up. With "" and CodeClockSkew, the offset is from now
// to the code's step. Wrong codes count until settle.
func (c *codes) check(uid string, key totp.Key, given string, now time.Time) (reason event.Reason, offset int) {
	step := totp.Step(now)
	offset, found := key.Find(given, step, skewReach)

	c.mu.Lock()
	defer c.mu.Unlock()
	use, known := c.users[uid]
	if !known || use.key != key {
		use = codeUse{key: key}
	}
	switch {
	case use.settled.Sub(now) > (wrongCodes-1)*wrongCodeReturns:
		return event.CodeTriesExceeded, 0 // a correct one remains valid for later
	case found && abs(offset) <= codeReach && step+int64(offset) <= use.last:
		return event.CodeReused, 0
	case found && abs(offset) <= codeReach && step+int64(offset) <= c.started(now):
		return event.CodeOlderThanServer, 0
	case found && abs(offset) <= codeReach:
		use.last = step + int64(offset)
	default:
		reason = event.WrongCode
		if found {
			reason = event.CodeClockSkew
		}
		use.settled = later(use.settled, now).Add(wrongCodeReturns)
	}
	use.touched = now
	c.sweep(now)
	c.users[uid] = use
	return reason, offset
}

// settle forgets a user's wrong codes after a correct one. It is called after claiming the code:
// a code that another pod has accepted must not restore guesses when it is replayed here.
func (c *codes) settle(uid string, key totp.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if use, known := c.users[uid]; known && use.key == key {
		use.settled = time.Time{}
		c.users[uid] = use
	}
}

// sweep keeps the table from growing with users who are gone.
func (c *codes) sweep(now time.Time) {
	if len(c.users) < c.sweepAt {
		return
	}
	maps.DeleteFunc(c.users, func(_ string, u codeUse) bool { return now.Sub(u.touched) > forgotten })
	c.sweepAt = max(c.sweepAt, 2*len(c.users)) //nolint:mnd // so a sweep costs little for each code
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
