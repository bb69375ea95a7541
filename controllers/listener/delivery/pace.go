package delivery

import (
	"time"

	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Pace keeps bulk creation of users from rewriting each shard over and over: a write that only adds users waits until the API
// server has had twice the duration of the last write for other work. Removals and changes never wait, nor does the first user
// after a rest. The zero value does not wait.
type Pace struct {
	// until is when the next write that only adds may come, and look is when it is worthwhile to check for anything else.
	until, look time.Time
}

const (
	// longestRest limits how long new users are batched.
	longestRest = 2 * time.Second
	// longestCheck limits how long a removal may go unnoticed in the meantime.
	longestCheck = 100 * time.Millisecond
	// checkShare is the share of time that checking may take: each new user triggers a check.
	checkShare = 5
)

// Wrote records that a write ended now and how long it took.
func (p *Pace) Wrote(now time.Time, took time.Duration) {
	p.until = now.Add(min(2*took, longestRest))
}

// Wait returns until when a write has to wait, zero if it does not have to.
func (p *Pace) Wait(now time.Time, out compile.Output, hostKeys string, c *Cache) time.Time {
	if !now.Before(p.until) || p.until.Sub(now) > longestRest || !c.onlyAdds(out, hostKeys) {
		return time.Time{} // a clock that was set back must not make it wait for longer
	}
	return p.until
}

// Checked records that a check took a time until now, and found that everything can wait.
func (p *Pace) Checked(now time.Time, took time.Duration) {
	p.look = now.Add(min((checkShare-1)*took, longestCheck))
}

// Rest returns how long not to check.
func (p *Pace) Rest(now time.Time) time.Duration {
	rest := p.look.Sub(now)
	if rest > longestCheck {
		return 0 // the clock was set back
	}
	return max(0, rest)
}

// onlyAdds reports whether out leaves everything in the Secrets unchanged, and adds to it.
func (c *Cache) onlyAdds(out compile.Output, hostKeys string) bool {
	if c.version == nil || c.version.HostKeys != hostKeys || len(c.shards) != len(out.Files.Shards) {
		return false
	}
	digests := make([]string, len(c.shards))
	for i, p := range c.shards {
		digests[i] = p.digest
	}
	_, digest, err := render.Compose(out.Settings, out.HostKeys, out.ReceiptKey, digests)
	if err != nil || digest != c.version.Digest {
		return false // other settings, or some of the last ones were not written
	}
	changed := make([]bool, len(c.shards))
	kept := make([]int, len(c.shards))
	for i := range c.shards {
		changed[i] = c.shards[i].digest != out.Files.ShardDigests[i]
	}
	for i := range out.Users {
		u := out.Users[i]
		if u.Digest == "" || !changed[u.Shard] {
			continue
		}
		if before, had := c.shards[u.Shard].records[u.User.UID]; had && before == u.Digest {
			kept[u.Shard]++
		}
	}
	for i, p := range c.shards {
		if changed[i] && kept[i] != len(p.records) {
			return false
		}
	}
	return true
}
