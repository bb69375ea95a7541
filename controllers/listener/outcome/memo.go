package outcome

import (
	"net"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

// Memo is what was last computed about a listener's users. The zero value is empty.
type Memo struct {
	users map[types.NamespacedName]*known
	// order has the users of the last call, in its order, and next those of the current one.
	order, next []*known
	// loaded is what pods had at the last call, and epoch is what all users shared then.
	loaded delivery.Loaded
	epoch  string
	// round counts the calls.
	round uint64
	// holders counts the users that have a key, by namespace and fingerprint.
	holders map[string]map[string]int
	// total counts the users of all namespaces that have a key, by fingerprint, and shared the keys that several have.
	total  map[string]int
	shared int
	// proved counts the users with proof of a host key.
	proved map[string]int32
	// keys counts all keys by their state, for metrics.
	keys map[v1alpha1.KeyState]int
}

// known is the last outcome of a user and what it was computed from.
type known struct {
	compiled     *compile.User
	status       string // the version of the SFTPUser with the status
	loaded       bool   // every ready pod has the record, or none still serves a removed one
	rejected     bool
	unmounted    string
	epoch        string
	next         time.Time
	outcome      user.Outcome
	keys, former []v1alpha1.UserKeyStatus
	proved       []string
	refusal      *v1alpha1.LoginRefusal
	// accepted, placed, ready and published are set if the user gets a login, has the current outcome, is ready according to
	// it, and has any outcome.
	accepted, placed, ready, published bool
	// reason is why the user is not ready, and generation is the generation of the listener's spec that led to it.
	reason     string
	generation int64
	// round is the last round in which the user existed.
	round uint64
}

// builder is one call of Users.
type builder struct {
	Input
	memo *Memo
	// epoch identifies what all users share.
	epoch   string
	address string
	// knownHosts are those of the address.
	knownHosts []string
	out        Result
	// changes are the changes in what pods have, and at is where the next user is expected in the memo's order.
	changes *delivery.Changes
	at      int
	// regroup are namespaces in which the holders of a key have changed.
	regroup map[string]bool
}

func (b *builder) begin() {
	m := b.memo
	if m.users == nil {
		m.users, m.holders = map[types.NamespacedName]*known{}, map[string]map[string]int{}
		m.total, m.proved, m.keys = map[string]int{}, map[string]int32{}, map[v1alpha1.KeyState]int{}
	}
	m.round++
	m.order, m.next = m.next, m.order[:0]
	b.changes, m.loaded = b.Loaded.Changes(m.loaded), b.Loaded
	b.regroup = map[string]bool{}
	b.out.Reasons, b.out.LockedOut = map[string]int{}, map[string]int{}
	if a := b.Listener.Status.Addresses; len(a) > 0 {
		b.address = net.JoinHostPort(a[0].Value, strconv.Itoa(int(a[0].Port)))
		b.knownHosts = render.KnownHosts(a[:1], b.HostKeys)
	}
	var e strings.Builder
	for _, text := range []string{b.address, b.RolledOut, b.Away.Reason, string(b.Listener.Spec.Infrastructure.Rollout)} {
		e.WriteString(text)
		e.WriteByte(0)
	}
	for i := range b.HostKeys {
		e.WriteString(b.HostKeys[i].Fingerprint)
	}
	for _, line := range b.knownHosts { // a host certificate's CA is also in them
		e.WriteString(line)
	}
	p := b.Listener.Spec.KeyPolicy
	for _, days := range []*int32{p.ExpiringWithinDays, p.UnusedAfterDays} {
		if e.WriteByte(0); days != nil {
			e.WriteString(strconv.Itoa(int(*days)))
		}
	}
	if b.epoch = e.String(); b.epoch == m.epoch {
		b.epoch = m.epoch // the same memory, so that users are compared with it at a glance
	}
	m.epoch = b.epoch
}

// user computes the outcome of a user unless nothing changed.
func (b *builder) user(u *compile.User) {
	name := nameOf(u.User)
	k := b.known(u, name)
	k.round = b.memo.round
	b.memo.next = append(b.memo.next, k)
	latest := b.Latest(name)
	if latest == nil || latest.UID != u.User.UID {
		latest = u.User
	}
	loaded := k.loaded
	if k.compiled != u || b.changes.Of(u.User.UID) {
		loaded = b.loaded(u)
	}
	unmounted := b.Unmounted(u.User)
	rejected := b.Rejected[string(u.User.UID)]
	same := k.compiled == u && k.epoch == b.epoch && k.loaded == loaded && k.rejected == rejected && k.unmounted == unmounted &&
		k.status == latest.ResourceVersion && !b.Used[u.User.UID] && (k.next.IsZero() || b.Now.Before(k.next))
	if !same || !loaded { // a record that has not been loaded yet is explained by the progress of the pods
		b.inventory(k, u, latest)
		k.compiled, k.epoch, k.loaded, k.rejected, k.unmounted, k.status = u, b.epoch, loaded, rejected, unmounted, latest.ResourceVersion
		k.placed = false
	}
}

// known returns what was last computed about a user, found at its last position or by name.
func (b *builder) known(u *compile.User, name types.NamespacedName) *known {
	for i := b.at; i < min(b.at+2, len(b.memo.order)); i++ {
		if k := b.memo.order[i]; k.compiled == u {
			b.at = i + 1
			return k
		}
	}
	b.at++ // most changes are of one user, in its place
	k := b.memo.users[name]
	if k == nil || k.outcome.UID != u.User.UID {
		b.drop(name)
		k = &known{}
		b.memo.users[name] = k
	}
	return k
}

// loaded reports whether the pods have a user's record, or lack it if there is none.
func (b *builder) loaded(u *compile.User) bool {
	if u.Digest == "" {
		return b.Loaded.Lacks(u.User.UID)
	}
	return b.Loaded.Has(u.User.UID, u.Digest)
}

// inventory determines the states of a user's keys.
func (b *builder) inventory(k *known, u *compile.User, latest *v1alpha1.SFTPUser) {
	b.count(u.User.Namespace, k, -1)
	if k.compiled != u {
		k.former = k.keys
	}
	if u.Accepted() {
		k.keys, k.next = b.Uses.Inventory(latest, u.Credentials.Inventory, b.Listener.Spec.KeyPolicy, b.Now)
		if at := b.warnOfEnd(u.User); !at.IsZero() && (k.next.IsZero() || at.Before(k.next)) {
			k.next = at
		}
	} else {
		// For example a suspended user: what is known about its keys is needed when it becomes active again.
		k.keys, k.next = latest.Status.Keys, time.Time{}
	}
	k.proved = nil
	if p := b.Uses.Proved(latest, b.HostKeys); len(p) > 0 {
		k.proved = p
	}
	k.refusal = b.Uses.LastRefusal(latest)
	k.accepted = u.Accepted() && !u.Overflow
	b.count(u.User.Namespace, k, 1)
}

// count adds a user to the counts, or removes it.
func (b *builder) count(namespace string, k *known, by int) {
	in := b.memo.holders[namespace]
	if in == nil {
		in = map[string]int{}
		b.memo.holders[namespace] = in
	}
	for i := range k.keys {
		fp := k.keys[i].Fingerprint
		b.memo.keys[k.keys[i].State] += by
		all := b.memo.total[fp]
		if b.memo.total[fp] += by; b.memo.total[fp] == 0 {
			delete(b.memo.total, fp)
		}
		switch {
		case all < 2 && all+by > 1:
			b.memo.shared++
		case all > 1 && all+by < 2:
			b.memo.shared--
		}
		if k.keys[i].State == v1alpha1.KeyAssignedElsewhere {
			continue
		}
		before := in[fp]
		if in[fp] += by; in[fp] == 0 {
			delete(in, fp)
		}
		if before > 1 != (in[fp] > 1) {
			b.regroup[namespace] = true
		}
	}
	if len(in) == 0 {
		delete(b.memo.holders, namespace)
	}
	if k.accepted {
		for _, fp := range k.proved {
			b.memo.proved[fp] += int32(by)
		}
	}
}

// sharedIn returns a function that reports whether several users of a namespace have a key.
func (m *Memo) sharedIn(namespace string) func(fingerprint string) bool {
	in := m.holders[namespace]
	return func(fingerprint string) bool { return in[fingerprint] > 1 }
}

func (b *builder) drop(name types.NamespacedName) {
	if k := b.memo.users[name]; k != nil {
		b.count(name.Namespace, k, -1)
		delete(b.memo.users, name)
		b.out.Left = true
	}
}

// finish computes the conditions of changed users, once the counts are right.
func (b *builder) finish() Result {
	if len(b.memo.users) > len(b.Users) {
		for name, k := range b.memo.users {
			if k.round != b.memo.round {
				b.drop(name)
				b.out.Gone = append(b.out.Gone, name)
			}
		}
	}
	for i, u := range b.Users {
		k := b.memo.next[i]
		if !k.placed || b.regroup[u.User.Namespace] {
			b.place(k, u)
		}
		if k.accepted {
			b.out.Attached++
		}
		if k.ready {
			b.out.Ready++
		} else {
			b.out.NotReady++
			b.out.Reasons[k.reason]++
		}
		if k.placed {
			k.generation = b.Generation
		}
		if !k.next.IsZero() && (b.out.Next.IsZero() || k.next.Before(b.out.Next)) {
			b.out.Next = k.next
		}
	}
	b.out.Proved = b.memo.proved
	return b.out
}

// place computes an outcome, unless the pods are about to change it.
func (b *builder) place(k *known, u *compile.User) {
	if b.Settling && !k.loaded || reading(u) || b.Unknown && upToDate(u.User) {
		b.out.Held++
		return
	}
	k.placed = true
	o := user.Outcome{
		User: nameOf(u.User), UID: u.User.UID, Generation: u.User.Generation, Username: u.Username, Address: b.address,
		Keys: k.keys, ProvedHostKeys: k.proved, LastRefusal: k.refusal, Conditions: b.conditionsOf(u, k.keys),
	}
	if k.accepted {
		o.KnownHosts = b.knownHosts
	}
	if k.published && user.Same(k.outcome, o) {
		return
	}
	same := k.published && k.outcome.Generation == o.Generation
	was := k.ready
	k.outcome, k.published = o, true
	c := meta.FindStatusCondition(o.Conditions, v1alpha1.ConditionReady)
	k.ready, k.reason = c.Status == metav1.ConditionTrue, c.Reason
	if why := cause(o.Conditions); same && was && !k.ready && k.generation != b.Generation && conditions.ClassOf(why) > conditions.Waiting {
		b.out.LockedOut[why]++
	}
	b.out.Changed = append(b.out.Changed, o)
}

// cause returns why a user is not ready: while its login is being removed, why it is not accepted.
func cause(list []metav1.Condition) string {
	if c := meta.FindStatusCondition(list, v1alpha1.ConditionAccepted); c.Status == metav1.ConditionFalse {
		return c.Reason
	}
	return meta.FindStatusCondition(list, v1alpha1.ConditionReady).Reason
}

// upToDate reports whether a user's status reflects its spec.
func upToDate(u *v1alpha1.SFTPUser) bool {
	c := conditions.Summary(u.Status.Conditions)
	return c != nil && c.ObservedGeneration == u.Generation
}

// reading reports whether entries of a user's Secrets are still being read, which takes milliseconds and ends within seconds,
// even if it fails. The status is unchanged until then.
func reading(u *compile.User) bool {
	return u.Accepted() && len(u.Credentials.Pending) > 0 && len(u.Credentials.Failures) == 0
}

// Keys returns the number of keys by their state, and of those that several users of the listener have.
func (m *Memo) Keys() (byState map[v1alpha1.KeyState]int, shared int) { return m.keys, m.shared }

// Former returns the keys that a user had before its last change.
func (m *Memo) Former(user types.NamespacedName) []v1alpha1.UserKeyStatus {
	if k := m.users[user]; k != nil {
		return k.former
	}
	return nil
}
