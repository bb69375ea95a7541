// Package attach decides which users a listener accepts: the two-sided handshake between an
// SFTPUser, which names a listener, and an SFTPListener, which says whom it admits. It is
// pure: equal input gives equal decisions.
package attach

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// DefaultMaxUsers is how many users a listener holds unless it sets maxUsers.
const DefaultMaxUsers = 1000

// Input is everything that a decision depends on.
type Input struct {
	Listener *v1alpha1.SFTPListener
	// Users that name the listener. Those being deleted count as deleted. They are not changed.
	Users []*v1alpha1.SFTPUser
	// NamespaceLabels of the users' namespaces; only needed if the listener UsesLabels.
	NamespaceLabels map[string]map[string]string
	// Holders are the users who had a login name before the listener was restored from a backup. During a restore they take
	// precedence over all others that ask for the same name. The map is compared by address, and must not be changed.
	Holders map[string]types.NamespacedName
	// Places are the users who had a login before the listener was restored from a backup. During a restore, they come before
	// those who have one now.
	Places Places
	// Seats are those of the last Result, nil if unknown.
	Seats map[types.UID]Seat
	Now   time.Time
}

// Seat is what a user holds at a listener, from one decision to the next.
type Seat struct {
	// Username is the login name, which no other user can have.
	Username string
	// Login reports whether the user has one of the listener's maxUsers logins.
	Login bool
}

// Decision is the decision about one user.
type Decision struct {
	User *v1alpha1.SFTPUser
	// Username is the login name in effect.
	Username string
	// MaxNamespaceConnections of the namespace's rule, 0 if it has none.
	MaxNamespaceConnections int
	// RefusedMethod is the method that this rule does not allow, "" if it allows both. The user does not ask for it, but SFTPKeys
	// may give it keys.
	RefusedMethod v1alpha1.AuthMethod
	// Reason is ReasonAccepted, or why the user cannot log in, which Message explains.
	Reason  string
	Message string
}

// Accepted reports whether the user gets a login.
func (d Decision) Accepted() bool { return d.Reason == v1alpha1.ReasonAccepted }

// Result has the decisions about all users.
type Result struct {
	// Decisions are sorted by namespace and name. They are valid until the next call with the same Memo, which reuses their
	// memory.
	Decisions []Decision
	// Seats held now; the input's map if none has changed.
	Seats map[types.UID]Seat
	// Next is the time of the next expiry, zero if there is none.
	Next time.Time
}

const accepted = "The listener accepts this user"

// Decide decides about each user. The memo, which may be nil, only saves work.
//
// A login name belongs to the user that already holds it, otherwise to the oldest one that asks for it and
// whose namespace is admitted, even while that user is suspended or expired: suspending a user must not hand
// its name to another. A user that is deleted, or whose namespace is no longer admitted, gives up its name,
// and so does one whose namespace has no login left for it, once another user asks for the name and can have
// a login. The logins of a namespace, and the maxUsers logins, belong to users that already have one, then to
// the oldest; a suspended or expired user has none.
//
// Holding takes precedence over age because ages change: objects that are restored from a
// backup are all equally old, and must not take logins from each other. Holders and Places
// come before both, because the objects of a backup are restored in any order.
func Decide(in Input, memo *Memo) Result {
	if memo == nil {
		memo = &Memo{}
	}
	memo.update(in)
	d := decision{Input: in, rules: newRules(in.Listener)}
	out := Result{Decisions: memo.reuse(len(memo.verdicts))}
	d.claim(memo)
	logins, first := 0, 0
	for i, v := range memo.verdicts {
		o := &out.Decisions[i]
		o.User, o.Username = v.user, v.username
		d.decide(o, v, memo.claims.holders[v.username])
		if i+1 == len(memo.verdicts) || memo.verdicts[i+1].user.Namespace != v.user.Namespace {
			logins += d.limitNamespace(out.Decisions[first:i+1], v)
			first = i + 1
		}
	}
	if most := MaxUsers(in.Listener); logins > most {
		d.limit(out.Decisions, most, v1alpha1.ReasonListenerFull,
			fmt.Sprintf("The listener has maxUsers: %d logins already; ask its owner to raise it", most))
	}
	d.handOver(memo, out.Decisions)
	for i := range out.Decisions {
		if o := &out.Decisions[i]; o.Accepted() {
			out.Next = earlier(out.Next, o.User.Spec.ExpirationTime)
		}
	}
	out.Seats = d.seats(memo, out.Decisions)
	return out
}

// decision is one run of Decide.
type decision struct {
	Input
	rules *rules
}

// decide is judge, plus the effects of a rule on an accepted user.
func (d *decision) decide(o *Decision, v, holder *verdict) {
	if o.Reason, o.Message = d.judge(v, holder); o.Accepted() {
		o.MaxNamespaceConnections, o.RefusedMethod = d.rules.maxConnections(v.rule), d.rules.refusedMethod(v.rule)
	}
}

// judge decides about one user. holder is the user that has the login name, nil if there is none.
func (d *decision) judge(v, holder *verdict) (reason, message string) {
	spec := &v.user.Spec
	switch {
	case !v.admitted():
		return v1alpha1.ReasonNotAllowedByListener,
			fmt.Sprintf("SFTPListener %q does not admit users of namespace %q; its owner decides in spec.allowedUsers.rules", d.Listener.Name, v.user.Namespace)
	case v.badName != "":
		return v1alpha1.ReasonInvalidUsername, v.badName
	case !v.holder:
		return v1alpha1.ReasonUsernameConflict, conflict(v, holder)
	case v.reason != "":
		return v.reason, v.message
	case v.ruleReason != "":
		return v.ruleReason, v.ruleMessage
	case spec.State == v1alpha1.UserSuspended:
		return v1alpha1.ReasonSuspended, "spec.state is Suspended; set it to Active to let the user log in"
	case spec.ExpirationTime != nil && !d.Now.Before(spec.ExpirationTime.Time):
		return v1alpha1.ReasonExpired,
			fmt.Sprintf("The login expired at %s; set a later spec.expirationTime", spec.ExpirationTime.UTC().Format(time.RFC3339))
	}
	return v1alpha1.ReasonAccepted, accepted
}

// conflict returns the message for a user whose login name is taken. The user that has it is named only to its own namespace.
func conflict(v, holder *verdict) string {
	who := "an SFTPUser of another namespace"
	if holder != nil && holder.user.Namespace == v.user.Namespace {
		who = fmt.Sprintf("SFTPUser %q", holder.user.Name)
	}
	return fmt.Sprintf("The login name %q is taken by %s, which is older or had it before; the name is immutable, so delete this SFTPUser and recreate it with a different spec.username",
		v.username, who)
}

// limitNamespace refuses the users of one namespace in excess of its rule's limit, and returns how many are accepted. v is any
// of them.
func (d *decision) limitNamespace(decisions []Decision, v *verdict) (logins int) {
	for i := range decisions {
		if decisions[i].Accepted() {
			logins++
		}
	}
	if !v.admitted() {
		return logins
	}
	most := d.rules.maxUsers(v.rule, v.user.Namespace)
	if logins <= most || most >= MaxUsers(d.Listener) { // else the listener is full, and says so
		return logins
	}
	d.limit(decisions, most, v1alpha1.ReasonNamespaceFull, fmt.Sprintf(
		"Namespace %q has %d logins already, which is its limit on the listener; remove or suspend one, %s", v.user.Namespace, most, remedy(&d.rules.all[v.rule])))
	return most
}

// limit refuses users in excess of most. Logins go to those who had one before a restore, then to those who have one, then to
// the oldest. It sorts only the group that not all of them fit in: otherwise every change to a full listener would sort all
// waiting users.
func (d *decision) limit(decisions []Decision, most int, reason, message string) {
	var groups [3][]*Decision
	for i := range decisions {
		o := &decisions[i]
		switch {
		case !o.Accepted():
		case len(d.Places) > 0 && d.Places.Has(types.NamespacedName{Namespace: o.User.Namespace, Name: o.User.Name}):
			groups[0] = append(groups[0], o)
		case d.Seats[o.User.UID].Login:
			groups[1] = append(groups[1], o)
		default:
			groups[2] = append(groups[2], o)
		}
	}
	for _, group := range groups {
		if most > 0 && most < len(group) {
			slices.SortFunc(group, d.byLogin)
		}
		for _, o := range group[min(most, len(group)):] {
			o.Reason, o.Message, o.MaxNamespaceConnections, o.RefusedMethod = reason, message, 0, ""
		}
		most -= min(most, len(group))
	}
}

// byLogin orders users who have a login before others, and then by age.
func (d *decision) byLogin(a, b *Decision) int {
	if has := d.Seats[a.User.UID].Login; has != d.Seats[b.User.UID].Login {
		return order(has)
	}
	return bySeniority(a.User, b.User)
}

// MaxUsers returns the maximum number of logins on a listener.
func MaxUsers(l *v1alpha1.SFTPListener) int {
	if l.Spec.MaxUsers == nil {
		return DefaultMaxUsers
	}
	return int(*l.Spec.MaxUsers)
}

func bySeniority(a, b *v1alpha1.SFTPUser) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(string(a.UID), string(b.UID)), byName(a, b))
}

func byName(a, b *v1alpha1.SFTPUser) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

func earlier(t time.Time, e *metav1.Time) time.Time {
	if e == nil || (!t.IsZero() && t.Before(e.Time)) {
		return t
	}
	return e.Time
}
