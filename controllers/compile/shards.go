package compile

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// place places the records, and assembles the shards with changes.
func (c *compilation) place() {
	count := shard.Count(attach.MaxUsers(c.Listener))
	decisions, slots := shard.Assign(shard.Input{Records: c.records, Count: count, Previous: c.Previous})
	c.out.Slots = slots
	m := c.memo
	if len(m.shards) != count {
		m.shards, m.digests, m.counts = make([][]byte, count), make([]string, count), make([]int, count)
		for i := range m.counts {
			m.counts[i] = -1
		}
	}
	dirty, counts := make([]bool, count), make([]int, count)
	for i, d := range decisions {
		c.decided(i, d)
		line := c.records[i].Line
		u := c.users[i].compiled
		if line == nil {
			u.shard, u.written = -1, nil
			continue
		}
		counts[d.Shard]++
		if u.shard != d.Shard || !identical(u.written, line) {
			dirty[d.Shard] = true
			u.shard, u.written = d.Shard, line
		}
	}
	for i := range dirty {
		dirty[i] = dirty[i] || counts[i] != m.counts[i]
	}
	c.assemble(decisions, dirty)
	m.counts = counts
	c.out.Files.Shards, c.out.Files.ShardDigests = m.shards, m.digests
}

// decided records the decision about a record, and keeps the line to be written, nil for none.
func (c *compilation) decided(i int, d shard.Decision) {
	of, r := c.users[i], &c.records[i]
	out := c.out.Users[of.index]
	if d.Verdict == shard.Fits && out.Shard == d.Shard {
		return
	}
	next := *out // which may be that of the last output
	next.Shard = d.Shard
	switch d.Verdict {
	case shard.Fits:
		c.out.Users[of.index] = &next
		return
	case shard.Overflow:
		next.Overflow = true
		next.Reason, next.Message = v1alpha1.ReasonListenerFull, overflowMessage
		r.Line = nil
	case shard.GrowthRefused:
		next.GrowthRefused = true
		next.Credentials.Problems = append(slices.Clip(next.Credentials.Problems),
			credentials.Problem{Reason: v1alpha1.ReasonUserTooLarge, Message: growthMessage})
		r.Line = c.reduced(r, c.Previous[r.UID].Bytes)
	}
	next.Digest = ""
	if r.Line != nil {
		next.Digest = config.Digest(r.Line)
	}
	c.out.Users[of.index] = reuse(of.previous, next)
}

// assemble assembles the shards that are dirty. Those of earlier outputs are not modified.
func (c *compilation) assemble(decisions []shard.Decision, dirty []bool) {
	members := make([][]shard.Record, len(dirty))
	changed := false
	for i, d := range decisions {
		if c.records[i].Line != nil && dirty[d.Shard] {
			members[d.Shard] = append(members[d.Shard], c.records[i])
		}
	}
	m := c.memo
	shards, digests := make([][]byte, len(dirty)), make([]string, len(dirty))
	copy(shards, m.shards)
	copy(digests, m.digests)
	for i := range dirty {
		if dirty[i] {
			changed = true
			shards[i] = shard.Assemble(members[i])
			digests[i] = config.Digest(shards[i])
		}
	}
	if changed {
		m.shards, m.digests = shards, digests
	}
}
