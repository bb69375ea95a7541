package auth

import (
	"maps"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
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
	// started is the step in which the process began: who used the codes up to this one
	// is not known.
	started int64

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
	return &codes{started: totp.Step(now), users: map[string]codeUse{}, sweepAt: 1024}
}

// check says why a code is refused, "" if it is right. Then it is used up. The offset is from
// now to the code's step, with "" and with CodeClockSkew.
func (c *codes) check(uid string, key totp.Key, given string, now time.Time) (reason Reason, offset int) {
	step := totp.Step(now)
	offset, found := key.Find(given, step, skewReach)

	c.mu.Lock()
	defer c.mu.Unlock()
	use, known := c.users[uid]
	if !known || use.key != key {
		use = codeUse{key: key, last: c.started}
	}
	switch {
	case use.settled.Sub(now) > (wrongCodes-1)*wrongCodeReturns:
		return CodeTriesExceeded, 0 // a right one stays good for later
	case found && abs(offset) <= codeReach && step+int64(offset) <= use.last:
		if use.last == c.started {
			return CodeOlderThanServer, 0
		}
		return CodeReused, 0
	case found && abs(offset) <= codeReach:
		use.last, use.settled = step+int64(offset), time.Time{}
	default:
		reason = WrongCode
		if found {
			reason = CodeClockSkew
		}
		use.settled = later(use.settled, now).Add(wrongCodeReturns)
	}
	use.touched = now
	c.sweep(now)
	c.users[uid] = use
	return reason, offset
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
