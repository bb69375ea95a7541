package auth

import (
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// clockwork is a codes with a clock that the test controls; the process began an hour before.
type clockwork struct {
	*codes
	now time.Time
}

func newClockwork() *clockwork {
	c := &clockwork{now: time.Unix(1_800_000_000, 0)}
	c.codes = newCodes(c.now)
	c.now = c.now.Add(time.Hour)
	return c
}

// code returns the code of a time step relative to the current one.
func (c *clockwork) code(k totp.Key, offset int) string {
	return k.Code(totp.Step(c.now) + int64(offset))
}

func (c *clockwork) check(uid string, key totp.Key, given string) (event.Reason, int) {
	reason, offset := c.codes.check(uid, key, given, c.now)
	if reason == "" {
		c.settle(uid, key)
	}
	return reason, offset
}

// TestCodeWindow: the current code and those one step before and after are accepted.
func TestCodeWindow(t *testing.T) {
	for offset := -12; offset <= 12; offset++ {
		c, k := newClockwork(), totp.Generate()
		want := event.Reason("")
		switch distance := abs(offset); {
		case distance > 10:
			want = event.WrongCode
		case distance > 1:
			want = event.CodeClockSkew
		}
		reason, at := c.check("ada", k, c.code(k, offset))
		if reason != want || reason == event.CodeClockSkew && at != offset {
			t.Errorf("%d steps: %q at %d, want %q", offset, reason, at, want)
		}
	}
}

// TestCodeReplay: a code works once, and earlier codes no longer work after it.
func TestCodeReplay(t *testing.T) {
	c, k := newClockwork(), totp.Generate()
	for i, tc := range []struct {
		uid    string
		offset int
		later  time.Duration
		want   event.Reason
	}{
		{"ada", 0, 0, ""},
		{"ada", 0, 0, event.CodeReused},
		{"ada", -1, 0, event.CodeReused},
		{"bob", 0, 0, ""}, // another user's code, even with the same secret
		{"ada", 1, 0, ""},
		{"ada", 1, 0, event.CodeReused},
		{"ada", 0, totp.Period, event.CodeReused},
		{"ada", -1, totp.Period, event.CodeReused},
		{"ada", 0, 0, ""},
	} {
		c.now = c.now.Add(tc.later)
		if reason, _ := c.check(tc.uid, k, c.code(k, tc.offset)); reason != tc.want {
			t.Errorf("%d: %s with %d: %q, want %q", i, tc.uid, tc.offset, reason, tc.want)
		}
	}
}

// TestCodeRestart: a process does not know which codes were used before it started, so it accepts none of them.
func TestCodeRestart(t *testing.T) {
	c, k := newClockwork(), totp.Generate()
	used := c.code(k, 0)
	if reason, _ := c.check("ada", k, used); reason != "" {
		t.Fatal(reason)
	}
	c.codes = newCodes(c.now)
	for range 2 * wrongCodes { // they do not count as wrong codes
		if reason, _ := c.check("ada", k, used); reason != event.CodeOlderThanServer {
			t.Fatalf("after a restart: %q", reason)
		}
	}
	c.now = c.now.Add(totp.Period)
	if reason, _ := c.check("ada", k, used); reason != event.CodeOlderThanServer {
		t.Errorf("a step after a restart: %q", reason)
	}
	if reason, _ := c.check("ada", k, c.code(k, 0)); reason != "" {
		t.Errorf("the next code: %q", reason)
	}
}

// TestCodeTries: guesses per user are limited across all sources.
func TestCodeTries(t *testing.T) {
	c, k := newClockwork(), totp.Generate()
	wrong := func() event.Reason {
		reason, _ := c.check("ada", k, "x")
		return reason
	}
	for i := range wrongCodes {
		if reason := wrong(); reason != event.WrongCode {
			t.Fatalf("wrong code %d: %q", i, reason)
		}
	}
	if reason := wrong(); reason != event.CodeTriesExceeded {
		t.Fatalf("one too many: %q", reason)
	}
	if reason, _ := c.check("ada", k, c.code(k, 0)); reason != event.CodeTriesExceeded {
		t.Errorf("the right one after that: %q", reason)
	}
	if reason, _ := c.check("bob", k, c.code(k, 0)); reason != "" {
		t.Errorf("another user: %q", reason)
	}
	// Under a sustained attack, there is one guess an hour.
	tries := 0
	for range 24 * 60 {
		c.now = c.now.Add(time.Minute)
		if wrong() == event.WrongCode {
			tries++
		}
	}
	if tries != 24 {
		t.Errorf("%d tries in a day", tries)
	}
	c.now = c.now.Add(wrongCodeReturns)
	if reason, _ := c.check("ada", k, c.code(k, 0)); reason != "" {
		t.Errorf("the right one in time: %q", reason)
	}
	for range wrongCodes - 1 {
		wrong()
	}
	c.now = c.now.Add(2 * totp.Period)
	if reason, _ := c.check("ada", k, c.code(k, 0)); reason != "" {
		t.Errorf("a right one does not settle those before: %q", reason)
	}
	for range wrongCodes {
		wrong()
	}
	if other := totp.Generate(); wrong() != event.CodeTriesExceeded {
		t.Error("not locked")
	} else if reason, _ := c.check("ada", other, c.code(other, 0)); reason != "" {
		t.Errorf("with a new secret: %q", reason)
	}
}

// TestCodesRemember: wrong codes count for the full period, no matter how many other users come in the meantime. Otherwise an
// attacker would have ten guesses an hour instead of one.
func TestCodesRemember(t *testing.T) {
	c, k := newClockwork(), totp.Generate()
	for range 10 {
		if reason, _ := c.check("ada", k, "x"); reason != event.WrongCode {
			t.Fatal(reason)
		}
	}
	used := c.code(k, 0)
	if reason, _ := c.check("eve", k, used); reason != "" {
		t.Fatal(reason)
	}
	tries := 0
	for i := range 9 * 60 * 10 { // one every six seconds for nine hours
		c.now = c.now.Add(6 * time.Second)
		c.check(string(rune('a'+i)), k, "x")
		if i%10 == 9 {
			if reason, _ := c.check("ada", k, "x"); reason == event.WrongCode {
				tries++
			}
		}
	}
	if tries != 9 {
		t.Errorf("%d tries in nine hours, want one an hour", tries)
	}
	if len(c.users) < 1024 {
		t.Errorf("only %d users are remembered, so none was to be forgotten", len(c.users))
	}
}

// TestCodesForget: state of users that have left is dropped.
func TestCodesForget(t *testing.T) {
	c, k := newClockwork(), totp.Generate()
	for i := range 5000 {
		c.now = c.now.Add(time.Minute)
		if reason, _ := c.check(string(rune('a'+i)), k, c.code(k, 0)); reason != "" {
			t.Fatal(reason)
		}
	}
	if n, most := len(c.users), 2*int(forgotten/time.Minute)+1; n > max(most, 1024) {
		t.Errorf("%d users are remembered, at most %d want be", n, most)
	}
}

// TestCodesForgetNotTooEarly: a user who is out of guesses gets none back before the hour is over, however many other users
// cause a sweep. When every entry is old, the sweep's own threshold decides.
func TestCodesForgetNotTooEarly(t *testing.T) {
	for _, after := range []time.Duration{61 * time.Minute, 5 * time.Hour, 6 * time.Hour, 10*time.Hour - time.Minute} {
		c, k := newClockwork(), totp.Generate()
		for range wrongCodes {
			c.check("ada", k, "x")
		}
		c.now = c.now.Add(after)
		for i := range 2000 {
			c.check(string(rune('a'+i)), k, "x")
		}
		if len(c.users) < 1024 {
			t.Fatal("there was no reason to sweep")
		}
		returned, tries := int(after/wrongCodeReturns), 0
		for range wrongCodes {
			if reason, _ := c.check("ada", k, "x"); reason == event.WrongCode {
				tries++
			}
		}
		if tries != returned {
			t.Errorf("%v after ten wrong codes: %d tries, want %d", after, tries, returned)
		}
	}
}

// TestCodeClockSetBack: the clock was ahead at startup and is corrected later. Current codes work at once; codes from before
// the start do not.
func TestCodeClockSetBack(t *testing.T) {
	for _, ahead := range []time.Duration{-24 * time.Hour, -time.Minute, time.Minute, 24 * time.Hour} {
		c, k := newClockwork(), totp.Generate()
		begun := c.now.Add(-10 * time.Minute) // the correct time
		c.codes = newCodes(begun.Add(ahead))
		c.running = func(now time.Time) time.Duration { return now.Sub(begun) } // according to the monotonic clock
		if reason, _ := c.check("ada", k, "x"); reason != event.WrongCode {
			t.Fatal(reason)
		}
		if reason, _ := c.check("ada", k, c.code(k, 0)); reason != "" {
			t.Errorf("clock set by %v: a code of now is %q", -ahead, reason)
		}
		c.now = begun
		if reason, _ := c.check("bob", k, c.code(k, 0)); reason != event.CodeOlderThanServer {
			t.Errorf("clock set by %v: a code of when it began is %q", -ahead, reason)
		}
	}
	c := newCodes(time.Now())
	time.Sleep(2 * time.Millisecond)
	if now := time.Now(); c.running(now) <= 0 || c.started(now) > totp.Step(now) {
		t.Error("the process has not run")
	}
}
