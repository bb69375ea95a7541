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
type Memo struct {
	spec *v1alpha1.SFTPListenerSpec
	// namespace of the listener.
	namespace string
	byName    map[types.NamespacedName]*verdict
	// verdicts, sorted by namespace and name.
	verdicts []*verdict
	// names is what a decision fills; it is here so that its room is used again.
	names map[string]*verdict
	round uint64
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

	// admitted is of the current decision.
	admitted bool
	// round is that in which the user was there last.
	round uint64
}

// update brings the verdicts up to date.
func (m *Memo) update(in Input) {
	l := in.Listener
	if m.spec != &l.Spec {
		if m.spec == nil || m.namespace != l.Namespace || !reflect.DeepEqual(*m.spec, l.Spec) {
			m.byName, m.verdicts = make(map[types.NamespacedName]*verdict, len(in.Users)), nil
			m.names = make(map[string]*verdict, len(in.Users))
		}
		m.spec, m.namespace = &l.Spec, l.Namespace
	}
	m.round++
	var fresh []*verdict
	there := 0
	for _, u := range in.Users {
		if !u.DeletionTimestamp.IsZero() {
			continue
		}
		name := types.NamespacedName{Namespace: u.Namespace, Name: u.Name}
		v := m.byName[name]
		if v == nil {
			v = &verdict{}
			m.byName[name] = v
			fresh = append(fresh, v)
		}
		if v.user == nil || !SameSpec(v.user, u) {
			v.judge(l, u)
		}
		if v.round != m.round {
			there++
		}
		v.user, v.round = u, m.round
	}
	if len(fresh) > 0 || there < len(m.verdicts) {
		m.merge(fresh)
	}
}

// merge adds verdicts, and removes those of users that are gone.
func (m *Memo) merge(fresh []*verdict) {
	m.verdicts = slices.DeleteFunc(m.verdicts, func(v *verdict) bool {
		gone := v.round != m.round
		if gone {
			delete(m.byName, types.NamespacedName{Namespace: v.user.Namespace, Name: v.user.Name})
		}
		return gone
	})
	order := func(a, b *verdict) int { return byName(a.user, b.user) }
	slices.SortFunc(fresh, order)
	if len(m.verdicts) == 0 {
		m.verdicts = fresh
		return
	}
	for _, v := range fresh[:min(len(fresh), 16)] {
		i, _ := slices.BinarySearchFunc(m.verdicts, v, order)
		m.verdicts = slices.Insert(m.verdicts, i, v)
	}
	if len(fresh) > 16 {
		m.verdicts = append(m.verdicts, fresh[16:]...)
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
