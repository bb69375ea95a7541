// Package compile turns a listener, and what it and its users refer to, into the daemon's
// configuration and findings about it. The operator, manager render and kubectl sftp why
// use the same compiler.
//
// It is pure: it reads no clock and touches no client, and equal input gives equal output. A
// fault of one user affects only that user, whatever it is: an error, a panic, or a record
// that grows.
package compile

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Input is everything that a listener's configuration is made from. Compile does not change it.
type Input struct {
	Listener *v1alpha1.SFTPListener
	// Users that name the listener, in any order. They may be those of an informer.
	Users []*v1alpha1.SFTPUser
	// NamespaceLabels of the users' namespaces; only needed if the listener attach.UsesLabels.
	NamespaceLabels map[string]map[string]string
	// Trust lists whose signatures the listener trusts, and TrustProblems what is wrong with it.
	Trust         render.Trust
	TrustProblems []credentials.Problem
	// HostKeys for the pods, as planned by hostkey.Decide. Without any, nothing is rendered.
	HostKeys []render.PrivateHostKey
	// ReceiptKey signs receipts, nil to issue none.
	ReceiptKey []byte
	// Resolve returns the credentials of a user, before the listener's rules. It is called for
	// accepted users only.
	Resolve func(u *v1alpha1.SFTPUser) credentials.Credentials
	// Stamp identifies what Resolve would return: while it is the same for the same spec of a
	// user, so are the credentials. It returns false if that is unknown, and may be nil.
	Stamp func(u *v1alpha1.SFTPUser) (stamp Stamp, ok bool)
	// VolumePath returns where a volume is mounted.
	VolumePath func(volume string) string

	// Holders are the users who had a login name before the listener was restored; see attach.Input.
	Holders map[string]types.NamespacedName
	// Places are the users who had a login before that; see attach.Input.
	Places attach.Places
	// Seats and Previous are the Seats and Slots of the last Output. After a restart,
	// Recall restores them from what was written.
	Seats    map[types.UID]attach.Seat
	Previous map[string]shard.Slot
	// Settings are the settings delivered last, nil if there are none. They stay in effect while those of the listener
	// cannot be used.
	Settings *config.Listener
	// Delivered returns the line of a user's record that was delivered last, nil if there is
	// none. It is called only for users that need more room than there is, and may be nil.
	Delivered func(uid string) []byte

	Now time.Time
}

// User is the result for a user.
type User struct {
	// Decision is who is accepted. It is also ReasonListenerFull with Overflow.
	attach.Decision
	// Credentials after the listener's rules.
	Credentials credentials.Credentials
	// Digest of the user's record in Files, "" if it has none.
	Digest string
	// Shard that the record is in, if there is one.
	Shard int
	// Err is why the user has no record although it is accepted and has credentials: the
	// daemon would refuse it. It only concerns this user.
	Err error
	// Overflow means that the record has no place in any shard.
	Overflow bool
	// GrowthRefused means that the record is larger than its place: it is delivered with the
	// credentials that fit, or not at all.
	GrowthRefused bool
}

// Output is a compiled configuration. It shares memory with other outputs of the same Memo,
// so nothing in it may be changed.
type Output struct {
	// Users are sorted by namespace and name. A user that has not changed since the last output of the same
	// Memo has the same pointer.
	Users []*User
	// Files are the configuration. They are zero while Blocked.
	Files render.Files
	// Settings, HostKeys and ReceiptKey are those in Files, for composing them with other shards.
	Settings   config.Listener
	HostKeys   []render.PrivateHostKey
	ReceiptKey []byte
	// Seats and Slots are what users hold, for the next Input.
	Seats map[types.UID]attach.Seat
	Slots map[string]shard.Slot
	// Blocked is why there is no configuration, nil if there is one.
	Blocked *credentials.Problem
	// Problems of the listener that do not block it.
	Problems []credentials.Problem
	// NextChange is when the same input gives a different output, zero for never.
	NextChange time.Time
}

// Compile compiles a listener's configuration. The memo, which may be nil, only saves work:
// the output is the same without it.
func Compile(in Input, memo *Memo) Output {
	if memo == nil {
		memo = &Memo{}
	}
	policy := render.PolicyAt(in.Listener, in.Now)
	memo.prepare(in, policy)
	decided := attach.Decide(attach.Input{
		Listener: in.Listener, Users: in.Users, NamespaceLabels: in.NamespaceLabels, Holders: in.Holders, Places: in.Places,
		Seats: in.Seats, Now: in.Now,
	}, &memo.attach)
	out := Output{
		Users: make([]*User, len(decided.Decisions)),
		Seats: decided.Seats, NextChange: decided.Next,
		HostKeys: in.HostKeys, ReceiptKey: in.ReceiptKey,
	}
	if warning := policy.Warning(in.Listener); warning != "" {
		out.Problems = append(out.Problems, credentials.Problem{Reason: v1alpha1.ReasonCryptoPolicyExpired, Message: warning})
	}
	out.Problems = append(out.Problems, in.TrustProblems...)
	if t := policy.Expires; t != nil && (out.NextChange.IsZero() || t.Time.Before(out.NextChange)) {
		out.NextChange = t.Time
	}
	c := compilation{Input: in, memo: memo, out: &out, records: memo.records[:0], users: memo.placed[:0]}
	for i := range decided.Decisions {
		c.user(i, &decided.Decisions[i])
	}
	memo.forget()
	c.place()
	memo.records, memo.placed, memo.last = c.records, c.users, out.Users
	clear(memo.records) // the lines are kept elsewhere
	clear(memo.placed)
	c.finish()
	return out
}

// compilation is one run of Compile.
type compilation struct {
	Input
	memo *Memo
	out  *Output

	// records are the records of users, and users the users that they belong to.
	records []shard.Record
	users   []placed
	// at is where the next user is expected in the memo's order, and was where it is expected in the last output.
	at, was int
}

// placed is a user with a record.
type placed struct {
	index int // in Output.Users
	*compiled
	// previous is the user in the last output, nil for none.
	previous *User
}

// finish creates the files.
func (c *compilation) finish() {
	c.out.Settings = render.Settings(c.Listener, c.Trust, c.VolumePath)
	c.out.Settings.RefusedUsers = c.refusedUsers()
	switch {
	case c.Trust.Unknown:
		c.block(v1alpha1.ReasonPending, "A list of revoked keys has never been read; pods must not start without it")
	case len(c.HostKeys) == 0:
		c.block(v1alpha1.ReasonPending, "The listener has no host key yet")
	default:
		c.compose()
	}
}

// compose assembles the files. Settings that the daemon would refuse, which the API's
// validation should prevent, must not block the removal of users: then the last delivered
// settings stay.
func (c *compilation) compose() {
	files := &c.out.Files
	var err error
	if files.Config, files.Digest, err = render.Compose(c.out.Settings, c.HostKeys, c.out.ReceiptKey, files.ShardDigests); err == nil {
		return
	}
	problem := credentials.Problem{Reason: v1alpha1.ReasonConfigRejected, Message: fmt.Sprintf("The listener's settings cannot be used: %v", err)}
	if c.Input.Settings != nil {
		c.out.Settings = *c.Input.Settings
		if !c.out.Settings.Receipts.On() {
			c.out.ReceiptKey = nil // these settings may not allow receipts
		}
		files.Config, files.Digest, err = render.Compose(c.out.Settings, c.HostKeys, c.out.ReceiptKey, files.ShardDigests)
	}
	if err != nil {
		c.block(problem.Reason, problem.Message)
		return
	}
	problem.Message += ". The previous ones stay in effect"
	c.out.Problems = append(c.out.Problems, problem)
}

func (c *compilation) block(reason, message string) {
	c.out.Blocked = &credentials.Problem{Reason: reason, Message: message}
	c.out.Files = render.Files{}
}
