package compile

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// user compiles a user, unless the memo has it unchanged.
func (c *compilation) user(i int, d *attach.Decision) {
	previous := c.previous(d.User)
	if !d.Accepted() {
		c.out.Users[i] = reuse(previous, User{Decision: *d})
		return
	}
	stamp, stamped := c.stamp(d.User)
	u := c.memo.get(d.User, &c.at)
	if u == nil || !stamped || !u.stamped || u.stamp != stamp || u.username != d.Username ||
		u.namespaceConnections != d.MaxNamespaceConnections || u.refusedMethod != d.RefusedMethod || !attach.SameSpec(u.user, d.User) ||
		c.memo.rules.labels && !maps.Equal(u.user.Labels, d.User.Labels) {
		next := c.compile(*d)
		if u == nil {
			u = &compiled{shard: -1}
			c.memo.users[d.User.UID] = u
		}
		u.credentials, u.line, u.digest, u.err = next.credentials, next.line, next.digest, next.err
		u.username, u.stamp, u.stamped = d.Username, stamp, stamped
		u.namespaceConnections, u.refusedMethod = d.MaxNamespaceConnections, d.RefusedMethod
	}
	u.user, u.round, u.index = d.User, c.memo.round, len(c.memo.next)
	c.memo.next = append(c.memo.next, u)
	next := User{Decision: *d, Credentials: u.credentials, Digest: u.digest, Err: u.err}
	if u.line == nil {
		c.out.Users[i] = reuse(previous, next)
		return
	}
	next.Shard = max(0, u.shard) // where it probably stays
	c.out.Users[i] = reuse(previous, next)
	c.records = append(c.records, shard.Record{UID: string(d.User.UID), Line: u.line, Seniority: d.User.CreationTimestamp.Unix()})
	c.users = append(c.users, placed{i, u, previous})
}

// previous returns a user of the last output, nil for none. Users come in the order of outputs.
func (c *compilation) previous(u *v1alpha1.SFTPUser) *User {
	for last := c.memo.last; c.was < len(last); c.was++ {
		p := last[c.was]
		if p.User == u {
			c.was++
			return p
		}
		switch byName(p.User, u) {
		case 0:
			c.was++
			return p
		case 1:
			return nil
		}
	}
	return nil
}

func byName(a, b *v1alpha1.SFTPUser) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// stamp returns the stamp of a user's credentials.
func (c *compilation) stamp(u *v1alpha1.SFTPUser) (stamp Stamp, ok bool) {
	if c.Stamp == nil {
		return stamp, false
	}
	defer func() {
		if recover() != nil {
			ok = false // then compile fails as well, and reports it
		}
	}()
	return c.Stamp(u)
}

// compile compiles one user. Any failure is that user's only.
func (c *compilation) compile(d attach.Decision) (out compiled) {
	defer func() {
		if r := recover(); r != nil {
			out = compiled{err: failure(r)}
		}
	}()
	out.credentials = Suited(c.Listener, d, c.Resolve(d.User), c.memo.rules.credentials)
	if !out.credentials.CanLogIn() {
		return out
	}
	out.line, out.err = config.EncodeUser(render.UserRecord(c.Listener, d, out.credentials))
	if n := len(out.line); n > maxRecordBytes {
		out.line, out.err = nil, fmt.Errorf("its record has %d bytes, but at most %d are allowed; "+
			"give it fewer mounts, allowedCIDRs, or keys with networks, or shorter paths", n, maxRecordBytes)
	}
	if out.err == nil {
		out.digest = config.Digest(out.line)
	}
	return out
}

// maxRecordBytes bounds a record. Keys and their networks have a bound of 16 KiB, but the paths of
// 16 mounts can take 32 KiB more, because the API counts characters, which have up to 4 bytes. A
// shard has room for some 1,500 bytes for each user: without a bound, a few users with large
// records could use up a listener's room.
const maxRecordBytes = 32 << 10

// failure returns the error for a panic. Only runtime errors are certain not to quote a
// Secret.
func failure(recovered any) error {
	if err, ok := recovered.(runtime.Error); ok {
		return fmt.Errorf("the operator failed on it: %w; report this as a bug", err)
	}
	return fmt.Errorf("the operator failed on it (%T); report this as a bug", recovered)
}

// Rules returns what a listener requires of credentials.
func Rules(l *v1alpha1.SFTPListener, policy render.Policy, trust render.Trust) credentials.Rules {
	r := credentials.NewRules(policy.Policy, trust.Revoked, render.MinPasswordLength(l))
	r.NoUserCA = len(trust.UserCAs) == 0
	return r
}

// Suited returns those of a user's credentials that a listener's rules allow, and which of the user's methods can succeed with
// them.
func Suited(l *v1alpha1.SFTPListener, d attach.Decision, c credentials.Credentials, rules credentials.Rules) credentials.Credentials {
	methods, explicit, err := d.Methods(l)
	if err != nil {
		return credentials.Credentials{} // attach.Decide does not accept such a user
	}
	return c.FilterByRules(rules).WithMethods(methods, explicit)
}
