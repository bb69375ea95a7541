package attach

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Memo keeps results about users from one decision to the next, so that a decision costs
// little more than the change: with 10,000 users, checking and sorting all of them costs
// many times what iterating over a list does. It belongs to one listener, and to one
// goroutine at a time. The zero Memo is empty.
//
// Objects passed to it must not be changed: it recognizes them by their address.
type Memo struct {
	spec *v1alpha1.SFTPListenerSpec
	// namespace of the listener, and its home volume.
	namespace, home string
	byAddress       map[*v1alpha1.SFTPUser]*verdict
	byName          map[types.NamespacedName]*verdict
	// verdicts are sorted by namespace and name.
	verdicts []*verdict
	claims   claims
	round    uint64
	// decisions is the memory of the last result.
	decisions []Decision
}

// verdict is the part of a user's result that depends only on its spec and the listener's.
type verdict struct {
	user     *v1alpha1.SFTPUser
	username string
	// badName is what is wrong with the username, "" for nothing.
	badName string
	// reason and message of what is wrong with the spec, "" for nothing.
	reason, message string

	// round is the last round in which the user existed.
	round uint64

	// rule is the index of the rule that applies to the namespace, noRule for none. If ruled is set, ruleReason and ruleMessage
	// say what is wrong with the spec under it.
	rule                    int
	ruled                   bool
	ruleReason, ruleMessage string

	// claimed reports whether the user is among the claims, and holder whether the login name is
	// its own. seat is what it held after the last decision.
	claimed, holder bool
	seat            Seat
}

func (v *verdict) admitted() bool { return v.rule != noRule }

// update brings the verdicts up to date.
func (m *Memo) update(in Input) {
	l := in.Listener
	if home := HomeVolume(l); m.spec != &l.Spec || m.home != home {
		if m.spec == nil || m.namespace != l.Namespace || m.home != home || !reflect.DeepEqual(*m.spec, l.Spec) {
			n := len(in.Users)
			*m = Memo{byAddress: make(map[*v1alpha1.SFTPUser]*verdict, n), byName: make(map[types.NamespacedName]*verdict, n), round: m.round}
		}
		m.spec, m.namespace, m.home = &l.Spec, l.Namespace, home
	}
	m.round++
	var fresh []*verdict
	there, next := 0, 0 // next is where the next user is expected
	for _, u := range in.Users {
		v := m.expected(&next, u)
		if v == nil {
			if !u.DeletionTimestamp.IsZero() {
				continue
			}
			var known bool
			if v, known = m.renew(l, u); known {
				next++
			} else {
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

// reuse returns memory for n decisions: that of the last result, if it is enough.
func (m *Memo) reuse(n int) []Decision {
	if m.decisions == nil || cap(m.decisions) < n {
		m.decisions = make([]Decision, n, n+n/8)
	}
	clear(m.decisions[:cap(m.decisions)]) // what is beyond n would be kept alive
	m.decisions = m.decisions[:n]
	return m.decisions
}

// expected returns the verdict on a user that is the same object as before, nil for none. at is where it is if users come
// sorted, and afterwards where the next one is.
func (m *Memo) expected(at *int, u *v1alpha1.SFTPUser) *verdict {
	for i := *at; i < min(*at+2, len(m.verdicts)); i++ { // one may have been deleted
		if v := m.verdicts[i]; v.user == u {
			*at = i + 1
			return v
		}
	}
	return m.byAddress[u]
}

// renew returns the verdict on a new or changed user.
func (m *Memo) renew(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) (v *verdict, known bool) {
	name := types.NamespacedName{Namespace: u.Namespace, Name: u.Name}
	v, known = m.byName[name]
	if !known {
		v = &verdict{}
		m.byName[name] = v
	} else {
		delete(m.byAddress, v.user)
		if v.user.UID != u.UID {
			v.seat = Seat{} // it was recreated, and holds nothing
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

// merge adds verdicts, and removes those of deleted users.
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
	const few = 16 // beyond that, sorting once is cheaper than moving all for each
	for _, v := range fresh[:min(len(fresh), few)] {
		i, _ := slices.BinarySearchFunc(m.verdicts, v, order)
		m.verdicts = slices.Insert(m.verdicts, i, v)
	}
	if len(fresh) > few {
		m.verdicts = append(m.verdicts, fresh[few:]...)
		slices.SortFunc(m.verdicts, order)
	}
}

// judge evaluates what depends only on the two specs. A spec that makes it fail affects
// only that user.
func (v *verdict) judge(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) {
	v.ruled = false
	defer func() { unreadable(recover(), &v.reason, &v.message) }()
	v.username = Username(l, u)
	v.badName = checkUsername(v.username)
	if v.reason, v.message = checkMethods(l, u); v.reason == "" {
		v.reason, v.message = checkDirectories(l, u)
	}
}

// judgeUnder finds out what a rule disallows in the spec, unless that is known.
func (v *verdict) judgeUnder(r *rules, rule int) {
	if v.ruled && v.rule == rule {
		return
	}
	v.rule, v.ruled = rule, true
	if v.ruleReason, v.ruleMessage = "", ""; rule == noRule || v.reason != "" {
		return
	}
	defer func() { unreadable(recover(), &v.ruleReason, &v.ruleMessage) }()
	v.ruleReason, v.ruleMessage = checkRule(r.listener, v.user, &r.all[rule])
}

// unreadable turns a panic about a user's spec into a reason to refuse it.
func unreadable(panicked any, reason, message *string) {
	if panicked != nil {
		*reason, *message = v1alpha1.ReasonUserRejected, "The operator cannot read the user's spec; report this as a bug"
	}
}

// SameSpec reports whether two versions of a user have the same spec, without comparing it.
// Objects without a generation, which come from files, are the same only if they are
// identical.
func SameSpec(a, b *v1alpha1.SFTPUser) bool {
	return a == b || a.UID == b.UID && a.Generation == b.Generation && a.Generation > 0
}
