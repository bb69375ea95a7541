package compile

import (
	"bytes"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// reduced returns the line of a record that has outgrown its room: it has only credentials
// that are both in the last delivered record and in the new one. It is nil if no such record
// fits.
func (c *compilation) reduced(r *shard.Record, room int) []byte {
	if c.Delivered == nil {
		return nil
	}
	before := c.Delivered(r.UID)
	if before == nil {
		return nil
	}
	m := &c.memo.users[types.UID(r.UID)].reduced
	if !identical(m.line, r.Line) || !bytes.Equal(m.before, before) {
		*m = reduction{line: r.Line, before: before, reduced: reduceLine(r.Line, before)}
	}
	if len(m.reduced) > room {
		return nil
	}
	return m.reduced
}

// reduction is a reduced line, and what it was made from.
type reduction struct{ line, before, reduced []byte }

// reduceLine returns a reduced line, nil if there is none.
func reduceLine(now, before []byte) []byte {
	n, err := config.DecodeUser(now)
	if err != nil {
		return nil
	}
	b, err := config.DecodeUser(before)
	if err != nil {
		return nil
	}
	line, err := config.EncodeUser(reduce(n, b))
	if err != nil {
		return nil // nothing is left that logs in
	}
	return line
}

// reduce returns a record that grants no more than now, without the keys that were not in
// before. A replaced password or TOTP secret is not growth.
func reduce(now, before config.User) config.User {
	out := now
	out.Keys = slices.DeleteFunc(slices.Clone(now.Keys), func(k config.Key) bool {
		return !slices.ContainsFunc(before.Keys, func(b config.Key) bool { return b.PublicKey == k.PublicKey })
	})
	out.AllowFrom = common(now.AllowFrom, before.AllowFrom)
	out.Methods = slices.DeleteFunc(slices.Clone(now.Methods), func(text string) bool {
		m, err := factor.ParseSet([]string{text})
		return err != nil || m.Count(factor.PublicKey) > len(out.Keys) && !out.Certificates
	})
	return out
}

// common returns the networks in both lists, or the first list if there are none: an empty
// list allows all.
func common(now, before []string) []string {
	both := slices.DeleteFunc(slices.Clone(now), func(n string) bool { return !slices.Contains(before, n) })
	if len(both) == 0 {
		return now
	}
	return both
}
