// Package attach decides which users a listener accepts: the two-sided handshake
// between an SFTPUser, which names a listener, and an SFTPListener, which says whom
// it admits. It is pure: equal input, equal decisions.
package attach

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// DefaultMaxUsers is what a listener holds unless its maxUsers says otherwise.
const DefaultMaxUsers = 1000

// Input is all that a decision depends on.
type Input struct {
	Listener *v1alpha1.SFTPListener
	// Users that name the listener. Those being deleted count as gone. They are not changed.
	Users []*v1alpha1.SFTPUser
	// NamespaceLabels of the users' namespaces; only needed with from: Selector.
	NamespaceLabels map[string]map[string]string
	// Seats are those of the last Result, nil if none is known.
	Seats map[types.UID]Seat
	Now   time.Time
}

// Seat is what a user holds of a listener, from one decision to the next.
type Seat struct {
	// Username is the login name, which no other user can have.
	Username string
	// Login reports whether the user has one of the listener's maxUsers logins.
	Login bool
}

// Decision is what was decided about one user.
type Decision struct {
	User *v1alpha1.SFTPUser
	// Username is the login name in effect.
	Username string
	// Reason is ReasonAccepted, or why the user cannot log in, which Message explains.
	Reason  string
	Message string
}

// Accepted reports whether the user gets a login.
func (d Decision) Accepted() bool { return d.Reason == v1alpha1.ReasonAccepted }

// Result is what was decided about all users.
type Result struct {
	// Decisions are sorted by namespace and name.
	Decisions []Decision
	// Seats that are held now, the map of the input if none has changed.
	Seats map[types.UID]Seat
	// Next is the time of the next expiry, zero if there is none.
	Next time.Time
}

const accepted = "The listener accepts this user"

// Decide decides about each user. The memo, which may be nil, only saves work.
//
// A login name belongs to the user that holds it already, or else to the oldest that asks
// for it and whose namespace is admitted, also while that user is suspended or expired:
// suspending a user must not hand its name to another. A user that is deleted, or whose
// namespace is not admitted any more, gives its name up. The logins of maxUsers belong to
// those that have one, or else to the oldest; a suspended or expired user has none.
//
// What is held goes before age because ages change: objects that are restored from a
// backup are all equally old, and must not take logins from each other.
func Decide(in Input, memo *Memo) Result {
	if memo == nil {
		memo = &Memo{}
	}
	memo.update(in)
	d := decision{Input: in, admitted: map[string]bool{}}
	out := Result{Decisions: make([]Decision, len(memo.verdicts))}
	d.claim(memo)
	logins := 0
	for i, v := range memo.verdicts {
		o := &out.Decisions[i]
		o.User, o.Username = v.user, v.username
		if o.Reason, o.Message = d.judge(v); o.Accepted() {
			logins++
		}
	}
	if logins > MaxUsers(in.Listener) {
		d.limit(out.Decisions)
	}
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
	selector labels.Selector
	// admitted namespaces, as far as they were looked at, and the last one.
	admitted map[string]bool
	last     struct {
		namespace string
		ok        bool
	}
}

func (d *decision) judge(v *verdict) (reason, message string) {
	spec := &v.user.Spec
	switch {
	case !v.admitted:
		return v1alpha1.ReasonNotAllowedByListener,
			fmt.Sprintf("SFTPListener %q does not admit users of namespace %q; its owner decides in spec.allowedUsers.namespaces", d.Listener.Name, v.user.Namespace)
	case v.badName != "":
		return v1alpha1.ReasonInvalidUsername, v.badName
	case !v.holder:
		return v1alpha1.ReasonUsernameConflict,
			fmt.Sprintf("The login name %q is taken by another SFTPUser of this listener, which is older or had it before; choose another spec.username", v.username)
	case v.reason != "":
		return v.reason, v.message
	case spec.State == v1alpha1.UserSuspended:
		return v1alpha1.ReasonSuspended, "spec.state is Suspended; set it to Active to let the user log in"
	case spec.ExpirationTime != nil && !d.Now.Before(spec.ExpirationTime.Time):
		return v1alpha1.ReasonExpired,
			fmt.Sprintf("The login expired at %s; set a later spec.expirationTime", spec.ExpirationTime.UTC().Format(time.RFC3339))
	}
	return v1alpha1.ReasonAccepted, accepted
}

// limit refuses users beyond maxUsers. It sorts only if some logins are still free, or if maxUsers was lowered: otherwise every
// change of a full listener would sort all who wait.
func (d *decision) limit(decisions []Decision) {
	most := MaxUsers(d.Listener)
	var holders, others []*Decision
	for i := range decisions {
		o := &decisions[i]
		switch {
		case !o.Accepted():
		case d.Seats[o.User.UID].Login:
			holders = append(holders, o)
		default:
			others = append(others, o)
		}
	}
	bySeniority := func(a, b *Decision) int { return bySeniority(a.User, b.User) }
	switch left := most - len(holders); {
	case left < 0:
		slices.SortFunc(holders, bySeniority)
		others = append(others, holders[most:]...)
	case left > 0:
		slices.SortFunc(others, bySeniority)
		others = others[left:]
	}
	message := fmt.Sprintf("The listener has maxUsers: %d logins already; ask its owner to raise it", most)
	for _, o := range others {
		o.Reason, o.Message = v1alpha1.ReasonListenerFull, message
	}
}

// admits reports whether the listener admits users of a namespace.
func (d *decision) admits(namespace string) bool {
	if d.last.namespace == namespace && namespace != "" {
		return d.last.ok // users are sorted by namespace
	}
	ok, known := d.admitted[namespace]
	if !known {
		ok = d.judgeNamespace(namespace)
		d.admitted[namespace] = ok
	}
	d.last.namespace, d.last.ok = namespace, ok
	return ok
}

func (d *decision) judgeNamespace(namespace string) bool {
	allowed := d.Listener.Spec.AllowedUsers.Namespaces
	switch allowed.From {
	case v1alpha1.NamespacesAll:
		return true
	case v1alpha1.NamespacesSelector:
		return d.selects(namespace)
	case v1alpha1.NamespacesSame, "":
		return namespace == d.Listener.Namespace
	}
	return false
}

func (d *decision) selects(namespace string) bool {
	selector := d.Listener.Spec.AllowedUsers.Namespaces.Selector
	if d.selector == nil {
		d.selector = labels.Nothing()
		if s, err := metav1.LabelSelectorAsSelector(selector.LabelSelector()); err == nil && selector != nil {
			d.selector = s
		}
	}
	return d.selector.Matches(labels.Set(d.NamespaceLabels[namespace]))
}

// MaxUsers is the number of logins that a listener holds.
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
