package outcome

import (
	"net"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

// Memo is what was computed of a listener's users last. The zero value is empty.
type Memo struct {
	users map[types.NamespacedName]*known
	// order has those of the last call, in the order of its users, and next those of the current one.
	order, next []*known
	// loaded is what pods had at the last call.
	loaded delivery.Loaded
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
	loaded       bool   // every ready pod has the record, or none serves one that is to be gone
	rejected     bool
	unmounted    string
	epoch        string
	next         time.Time
	outcome      user.Outcome
	keys, former []v1alpha1.UserKeyStatus
	proved       []string
	// accepted, placed, ready and published report whether the user gets a login, has the outcome of now, is ready by it, and
	// has an outcome at all.
	accepted, placed, ready, published bool
	// round is that in which the user was there last.
	round uint64
}

// builder is one call of Users.
type builder struct {
	Input
	memo *Memo
	// epoch identifies what is the same for all users.
	epoch   string
	address string
	out     Result
	// changes are those of what pods have, and at is where the next user is expected in the memo's order.
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
	if a := b.Listener.Status.Addresses; len(a) > 0 {
		b.address = net.JoinHostPort(a[0].Value, strconv.Itoa(int(a[0].Port)))
	}
	var e strings.Builder
	for _, text := range []string{b.address, b.RolledOut, string(b.Listener.Spec.Infrastructure.Rollout)} {
		e.WriteString(text)
		e.WriteByte(0)
	}
	for i := range b.HostKeys {
		e.WriteString(b.HostKeys[i].Fingerprint)
	}
	p := b.Listener.Spec.KeyPolicy
	for _, days := range []*int32{p.ExpiringWithinDays, p.UnusedAfterDays} {
		if e.WriteByte(0); days != nil {
			e.WriteString(strconv.Itoa(int(*days)))
		}
	}
	b.epoch = e.String()
}

// user computes the outcome of a user unless nothing of it has changed.
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
	if !same || !loaded { // what has not been loaded yet is explained by how far the pods are
		b.inventory(k, u, latest)
		k.compiled, k.epoch, k.loaded, k.rejected, k.unmounted, k.status = u, b.epoch, loaded, rejected, unmounted, latest.ResourceVersion
		k.placed = false
	}
}

// known returns what was computed of a user last, found where it was in the last call or else by name.
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

// loaded reports whether the pods are as a user's record says, or as the lack of one.
func (b *builder) loaded(u *compile.User) bool {
	if u.Digest == "" {
		return b.Loaded.Lacks(u.User.UID)
	}
	return b.Loaded.Has(u.User.UID, u.Digest)
}

// inventory finds out the states of a user's keys.
func (b *builder) inventory(k *known, u *compile.User, latest *v1alpha1.SFTPUser) {
	b.count(u.User.Namespace, k, -1)
	if k.compiled != u {
		k.former = k.keys
	}
	if u.Accepted() {
		k.keys, k.next = b.Uses.Inventory(latest, u.Credentials.Inventory, b.Listener.Spec.KeyPolicy, b.Now)
	} else {
		// Suspended, for example: what is known of its keys is wanted when it is back.
		k.keys, k.next = latest.Status.Keys, time.Time{}
	}
	k.proved = nil
	if p := b.Uses.Proved(latest, b.HostKeys); len(p) > 0 {
		k.proved = p
	}
	k.accepted = u.Accepted() && !u.Overflow
	b.count(u.User.Namespace, k, 1)
}

// count adds a user to the counts, or takes it out of them.
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

// finish computes the conditions of those of whom something has changed, once the counts are right.
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
		}
		if !k.next.IsZero() && (b.out.Next.IsZero() || k.next.Before(b.out.Next)) {
			b.out.Next = k.next
		}
	}
	b.out.Proved = b.memo.proved
	return b.out
}

// place computes an outcome, unless the pods are about to make it another one.
func (b *builder) place(k *known, u *compile.User) {
	if b.Settling && !k.loaded || reading(u) || b.Unknown && told(u.User) {
		b.out.Held++
		return
	}
	k.placed = true
	o := user.Outcome{
		User: nameOf(u.User), UID: u.User.UID, Generation: u.User.Generation, Username: u.Username, Address: b.address,
		Keys: k.keys, ProvedHostKeys: k.proved, Conditions: b.conditionsOf(u, k.keys),
	}
	if k.published && user.Same(k.outcome, o) {
		return
	}
	k.outcome, k.published = o, true
	k.ready = meta.IsStatusConditionTrue(o.Conditions, v1alpha1.ConditionReady)
	b.out.Changed = append(b.out.Changed, o)
}

// told reports whether a user's status says what came of its spec.
func told(u *v1alpha1.SFTPUser) bool {
	c := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.ObservedGeneration == u.Generation
}

// reading reports whether entries of a user's Secrets are still being read, which takes milliseconds and ends within seconds, if
// only with a failure. The status stays as it is until then.
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
