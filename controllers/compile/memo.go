package compile

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
)

// Memo keeps compiled results, so that the next output costs little more than compiling
// the changes. It belongs to one listener, and to one goroutine at a time. The zero
// Memo is empty.
type Memo struct {
	attach attach.Memo

	rules rules
	users map[types.UID]*compiled
	// order are the accepted users of the last output, as they were sorted, and next those of
	// the current one. They save most lookups.
	order, next []*compiled
	// last are the Users of the last output.
	last []*User
	// records and placed are buffers for a placement.
	records []shard.Record
	placed  []placed
	// shards are the shards as last assembled.
	shards  [][]byte
	digests []string
	counts  []int // records in each

	round uint64
}

// Stamp identifies resolved credentials.
type Stamp struct {
	// Keys is the stamp of the keyring of SFTPKeys.
	Keys string
	// Entries is a hash of what is known about the entries of Secrets.
	Entries uint64
}

// rules are what a user's record depends on besides the user.
type rules struct {
	spec     *v1alpha1.SFTPListenerSpec
	home     string
	policy   v1alpha1.CryptoPolicy
	revoked  []string
	noUserCA bool
	// labels is set if a record depends on the user's labels.
	labels bool

	credentials credentials.Rules
}

// compiled is the result for a user.
type compiled struct {
	user     *v1alpha1.SFTPUser
	username string
	stamp    Stamp
	stamped  bool
	// namespaceConnections and refusedMethod are the decision's.
	namespaceConnections int
	refusedMethod        v1alpha1.AuthMethod

	credentials credentials.Credentials
	line        []byte
	digest      string
	err         error
	reduced     reduction

	// shard and written are where the record was last assembled, and as which line.
	shard   int
	written []byte
	// index in the last order.
	index int
	round uint64
}

// prepare forgets what was compiled under other rules.
func (m *Memo) prepare(in Input, policy render.Policy) {
	l := in.Listener
	r := rules{
		spec: &l.Spec, home: attach.HomeVolume(l), policy: policy.Name, revoked: in.Trust.Revoked.Keys, noUserCA: len(in.Trust.UserCAs) == 0,
	}
	if m.users == nil || !m.rules.equal(r) {
		r.credentials = Rules(l, policy, in.Trust)
		m.users = make(map[types.UID]*compiled, len(in.Users))
		m.shards, m.digests, m.counts, m.order = nil, nil, nil, nil
	} else {
		r.credentials = m.rules.credentials
	}
	r.labels = render.UsesLabels(l)
	m.rules = r
	m.round++
}

func (r rules) equal(o rules) bool {
	return r.policy == o.policy && r.home == o.home && r.noUserCA == o.noUserCA &&
		(r.spec == o.spec || reflect.DeepEqual(*r.spec, *o.spec)) && slices.Equal(r.revoked, o.revoked)
}

// get returns what is known about a user, nil if nothing. at is where it is expected in the
// last order, and afterwards where the next one is.
func (m *Memo) get(u *v1alpha1.SFTPUser, at *int) *compiled {
	for i := *at; i < min(*at+2, len(m.order)); i++ {
		if c := m.order[i]; c.user == u || c.user.UID == u.UID {
			*at = i + 1
			return c
		}
	}
	c := m.users[u.UID]
	if c != nil {
		*at = c.index + 1
	}
	return c
}

// forget forgets users that are deleted or no longer accepted.
func (m *Memo) forget() {
	m.order, m.next = m.next, m.order[:0]
	if len(m.order) == len(m.users) {
		return
	}
	for uid, u := range m.users {
		if u.round != m.round {
			delete(m.users, uid)
		}
	}
}
