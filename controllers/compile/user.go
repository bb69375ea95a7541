package compile

import (
	"fmt"
	"runtime"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// user compiles a user, unless it is in the memo as it is.
func (c *compilation) user(i int, d *attach.Decision) {
	out := &c.out.Users[i]
	out.Decision = *d
	if !d.Accepted() {
		return
	}
	stamp, stamped := c.stamp(d.User)
	u := c.memo.get(d.User, &c.at)
	if u == nil || !stamped || !u.stamped || u.stamp != stamp || u.username != d.Username || !attach.SameSpec(u.user, d.User) {
		next := c.compile(*d)
		if u == nil {
			u = &compiled{shard: -1}
			c.memo.users[d.User.UID] = u
		}
		u.credentials, u.line, u.digest, u.err = next.credentials, next.line, next.digest, next.err
		u.username, u.stamp, u.stamped = d.Username, stamp, stamped
	}
	u.user, u.round, u.index = d.User, c.memo.round, len(c.memo.next)
	c.memo.next = append(c.memo.next, u)
	out.Credentials, out.Digest, out.Err = u.credentials, u.digest, u.err
	if u.line != nil {
		c.records = append(c.records, shard.Record{UID: string(d.User.UID), Line: u.line, Seniority: d.User.CreationTimestamp.Unix()})
		c.users = append(c.users, placed{i, u})
	}
}

// stamp is the stamp of a user's credentials.
func (c *compilation) stamp(u *v1alpha1.SFTPUser) (stamp Stamp, ok bool) {
	if c.Stamp == nil {
		return stamp, false
	}
	defer func() {
		if recover() != nil {
			ok = false // then compile fails as well, and says so
		}
	}()
	return c.Stamp(u)
}

// compile compiles one user. Whatever goes wrong is that user's.
func (c *compilation) compile(d attach.Decision) (out compiled) {
	defer func() {
		if r := recover(); r != nil {
			out = compiled{err: failure(r)}
		}
	}()
	out.credentials = Suited(c.Listener, d.User, c.Resolve(d.User), c.memo.rules.credentials)
	if !out.credentials.CanLogIn() {
		return out
	}
	out.line, out.err = config.EncodeUser(render.UserRecord(c.Listener, d, out.credentials))
	if n := len(out.line); n > maxRecordBytes {
		out.line, out.err = nil, fmt.Errorf("its record has %d bytes, more than the %d that one may have; "+
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

// failure is the error of a panic. Only what the runtime says is certain to quote nothing of
// a Secret.
func failure(recovered any) error {
	if err, ok := recovered.(runtime.Error); ok {
		return fmt.Errorf("the operator failed on it: %w; report this as a bug", err)
	}
	return fmt.Errorf("the operator failed on it (%T); report this as a bug", recovered)
}

// Rules are what a listener asks of credentials.
func Rules(l *v1alpha1.SFTPListener, policy render.Policy, trust render.Trust) credentials.Rules {
	r := credentials.NewRules(policy.Policy, trust.Revoked, render.MinPasswordLength(l))
	r.NoUserCA = len(trust.UserCAs) == 0
	return r
}

// Suited returns the credentials of a user that a listener's rules leave, and which of the
// user's methods can succeed with them.
func Suited(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser, c credentials.Credentials, rules credentials.Rules) credentials.Credentials {
	methods, explicit, err := attach.Methods(l, u)
	if err != nil {
		return credentials.Credentials{} // attach.Decide does not accept such a user
	}
	return c.FilterByRules(rules).WithMethods(methods, explicit)
}
