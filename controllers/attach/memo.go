package attach

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Memo keeps what was found out about users from one decision to the next, so that a
// decision costs little more than the change: with 10,000 users, checking all of them and
// sorting them costs many times that of going through a list. It is of one listener, and
// of one goroutine at a time. The zero Memo is empty.
//
// Objects that were given to it must not be changed: it knows them again by their address.
type Memo struct {
	spec *v1alpha1.SFTPListenerSpec
	// namespace of the listener.
	namespace string
	byAddress map[*v1alpha1.SFTPUser]*verdict
	byName    map[types.NamespacedName]*verdict
	// verdicts, sorted by namespace and name.
	verdicts []*verdict
	claims   claims
	round    uint64
}

// verdict is what was found out about a user that depends on its spec and on the
// listener's only.
type verdict struct {
	user     *v1alpha1.SFTPUser
	username string
	// badName is what is wrong with the username, "" for nothing.
	badName string
	// reason and message of what is wrong with the spec, "" for nothing.
	reason, message string

	// round is that in which the user was there last.
	round uint64

	// admitted reports whether the namespace is, claimed whether the user is among the claims,
	// and holder whether the login name is its own. seat is what it held after the last decision.
	admitted, claimed, holder bool
	seat                      Seat
}

// update brings the verdicts up to date.
func (m *Memo) update(in Input) {
	l := in.Listener
	if m.spec != &l.Spec {
		if m.spec == nil || m.namespace != l.Namespace || !reflect.DeepEqual(*m.spec, l.Spec) {
			n := len(in.Users)
			*m = Memo{byAddress: make(map[*v1alpha1.SFTPUser]*verdict, n), byName: make(map[types.NamespacedName]*verdict, n), round: m.round}
		}
		m.spec, m.namespace = &l.Spec, l.Namespace
	}
	m.round++
	var fresh []*verdict
	there := 0
	for _, u := range in.Users {
		v := m.byAddress[u]
		if v == nil {
			if !u.DeletionTimestamp.IsZero() {
				continue
			}
			var known bool
			if v, known = m.renew(l, u); !known {
				fresh = append(fresh, v)
			}
		}
		if v.round != m.round {
			v.round = m.round
			there++
		}
	}
	if len(fresh) > 0 || there < len(m.verdicts) {
		m.merge(fresh)
	}
}

// renew is the verdict on a user that is new or has changed.
func (m *Memo) renew(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) (v *verdict, known bool) {
	name := types.NamespacedName{Namespace: u.Namespace, Name: u.Name}
	v, known = m.byName[name]
	if !known {
		v = &verdict{}
		m.byName[name] = v
	} else {
		delete(m.byAddress, v.user)
		if v.user.UID != u.UID {
			v.seat = Seat{} // it was made again, and holds nothing
		}
	}
	if !known || !SameSpec(v.user, u) {
		m.claims.remove(v)
		v.judge(l, u)
	}
	v.user = u
	m.byAddress[u] = v
	return v, known
}

// merge adds verdicts, and removes those of users that are gone.
func (m *Memo) merge(fresh []*verdict) {
	m.verdicts = slices.DeleteFunc(m.verdicts, func(v *verdict) bool {
		gone := v.round != m.round
		if gone {
			m.claims.remove(v)
			delete(m.byAddress, v.user)
			delete(m.byName, types.NamespacedName{Namespace: v.user.Namespace, Name: v.user.Name})
		}
		return gone
	})
	order := func(a, b *verdict) int { return byName(a.user, b.user) }
	slices.SortFunc(fresh, order)
	const few = 16 // beyond, sorting all is cheaper than moving all for each
	for _, v := range fresh[:min(len(fresh), few)] {
		i, _ := slices.BinarySearchFunc(m.verdicts, v, order)
		m.verdicts = slices.Insert(m.verdicts, i, v)
	}
	if len(fresh) > few {
		m.verdicts = append(m.verdicts, fresh[few:]...)
		slices.SortFunc(m.verdicts, order)
	}
}

// judge finds out what depends on the two specs only. A spec that it fails on is that
// user's trouble only.
func (v *verdict) judge(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) {
	defer func() {
		if recover() != nil {
			v.reason, v.message = v1alpha1.ReasonUserRejected, "The operator cannot read the user's spec; report this as a bug"
		}
	}()
	v.username = Username(l, u)
	v.badName = checkUsername(v.username)
	if v.reason, v.message = checkMethods(l, u); v.reason == "" {
		v.reason, v.message = checkDirectories(l, u)
	}
}

// SameSpec reports whether two versions of a user have the same spec, without looking at
// it. Objects without a generation, which come from files, are the same only if they are one.
func SameSpec(a, b *v1alpha1.SFTPUser) bool {
	return a == b || a.UID == b.UID && a.Generation == b.Generation && a.Generation > 0
}
