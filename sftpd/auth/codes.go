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
	// skewReach is within how many steps a wrong code is taken for one of a wrong clock.
	skewReach = 10
	// A user has wrongCodes wrong codes, and gets one back every wrongCodeReturns. So
	// whoever has the other factors guesses 34 times on the first day and 24 times on each
	// one after: with three codes of a million right at a time, less than once in 10,000 days.
	wrongCodes       = 10
	wrongCodeReturns = time.Hour
	// forgotten is after how long nothing is left to know of a user.
	forgotten = wrongCodes * wrongCodeReturns
)

// codes remembers what codes were used, and how many were wrong. It is safe for concurrent
// use. It knows of users who have come as far as to a code, which a stranger does not.
type codes struct {
	// running is for how long the process has run at a time. Who used the codes of before it is not
	// known.
	running func(now time.Time) time.Duration

	mu      sync.Mutex
	users   map[string]codeUse // by UID
	sweepAt int
}

// codeUse is a user's past with one key.
type codeUse struct {
	key totp.Key
	// last step whose code was accepted: this one and those before are used up.
	last int64
	// settled is when no wrong code counts any more.
	settled time.Time
	touched time.Time
}

func newCodes(now time.Time) *codes {
	return &codes{running: func(at time.Time) time.Duration { return at.Sub(now) }, users: map[string]codeUse{}, sweepAt: 1024}
}

// started returns the step in which the process began, by the clock as it is now. A clock that was
// ahead at the start and has been set back would otherwise make all codes too old until it has
// caught up. time.Sub measures with the monotonic clock, which is never set.
func (c *codes) started(now time.Time) int64 { return totp.Step(now.Add(-c.running(now))) }

// check returns why a code is refused, "" if it is right. Then it is used up. The offset is from
// now to the code's step, with "" and with CodeClockSkew. Wrong codes count until settle.
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
		return event.CodeTriesExceeded, 0 // a right one stays good for later
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

// settle forgets a user's wrong codes, after one that was right. It comes after the claim of the
// code: one that another pod has accepted gives no guesses back to whoever replays it here.
func (c *codes) settle(uid string, key totp.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if use, known := c.users[uid]; known && use.key == key {
		use.settled = time.Time{}
		c.users[uid] = use
	}
}

// sweep keeps what is remembered from growing with users who are gone.
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
