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

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// DefaultMaxUsers is what a listener holds unless its maxUsers says otherwise.
const DefaultMaxUsers = 1000

// Input is all that a decision depends on.
type Input struct {
	Listener *v1alpha1.SFTPListener
	// Users that name the listener. Those being deleted count as gone.
	Users []v1alpha1.SFTPUser
	// NamespaceLabels of the users' namespaces; only needed with from: Selector.
	NamespaceLabels map[string]map[string]string
	Now             time.Time
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

// Accepted says whether the user gets a login.
func (d Decision) Accepted() bool { return d.Reason == v1alpha1.ReasonAccepted }

// Decide returns a decision for each user, sorted by namespace and name, and the time
// of the next expiry, zero if there is none.
//
// A login name belongs to the oldest user that asks for it and whose namespace is
// admitted, also while that user is suspended or expired: suspending somebody must not
// hand the name to somebody else.
func Decide(in Input) ([]Decision, time.Time) {
	users := presentUsers(in.Users)
	slices.SortFunc(users, bySeniority)

	var next time.Time
	holder := map[string]bool{}
	held := 0
	out := make([]Decision, 0, len(users))
	for _, u := range users {
		d := Decision{User: u, Username: Username(in.Listener, u)}
		d.Reason, d.Message = in.judge(d, holder)
		if d.Accepted() {
			if held >= MaxUsers(in.Listener) {
				d.Reason = v1alpha1.ReasonListenerFull
				d.Message = fmt.Sprintf("The listener has maxUsers: %d logins already; ask its owner to raise it", held)
			} else {
				held++
				next = earlier(next, u.Spec.ExpirationTime)
			}
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Decision) int { return byName(a.User, b.User) })
	return out, next
}

// judge decides about one user, given the names that older users hold, and adds the
// name that it takes.
func (in Input) judge(d Decision, holder map[string]bool) (reason, message string) {
	if ok, message := in.admits(d.User.Namespace); !ok {
		return v1alpha1.ReasonNotAllowedByListener, message
	}
	if message := checkUsername(d.Username); message != "" {
		return v1alpha1.ReasonInvalidUsername, message
	}
	if holder[d.Username] {
		return v1alpha1.ReasonUsernameConflict,
			fmt.Sprintf("The login name %q is taken by an older SFTPUser of this listener; choose another spec.username", d.Username)
	}
	holder[d.Username] = true
	if reason, message := checkMethods(in.Listener, d.User); reason != "" {
		return reason, message
	}
	if reason, message := checkDirectories(in.Listener, d.User); reason != "" {
		return reason, message
	}
	if d.User.Spec.State == v1alpha1.UserSuspended {
		return v1alpha1.ReasonSuspended, "spec.state is Suspended; set it to Active to let the user log in"
	}
	if t := d.User.Spec.ExpirationTime; t != nil && !in.Now.Before(t.Time) {
		return v1alpha1.ReasonExpired,
			fmt.Sprintf("The login expired at %s; set a later spec.expirationTime", t.UTC().Format(time.RFC3339))
	}
	return v1alpha1.ReasonAccepted, "The listener accepts this user"
}

// admits says whether the listener admits users of a namespace. The message does not
// tell what the listener's rule is: it may belong to somebody else.
func (in Input) admits(namespace string) (bool, string) {
	allowed := in.Listener.Spec.AllowedUsers.Namespaces
	ok := false
	switch allowed.From {
	case v1alpha1.NamespacesAll:
		ok = true
	case v1alpha1.NamespacesSelector:
		sel, err := metav1.LabelSelectorAsSelector(allowed.Selector.LabelSelector())
		ok = err == nil && allowed.Selector != nil && sel.Matches(labels.Set(in.NamespaceLabels[namespace]))
	case v1alpha1.NamespacesSame, "":
		ok = namespace == in.Listener.Namespace
	}
	if ok {
		return true, ""
	}
	return false, fmt.Sprintf("SFTPListener %q does not admit users of namespace %q; its owner decides in spec.allowedUsers.namespaces",
		in.Listener.Name, namespace)
}

// MaxUsers is the number of logins that a listener holds.
func MaxUsers(l *v1alpha1.SFTPListener) int {
	if l.Spec.MaxUsers == nil {
		return DefaultMaxUsers
	}
	return int(*l.Spec.MaxUsers)
}

func presentUsers(users []v1alpha1.SFTPUser) []*v1alpha1.SFTPUser {
	out := make([]*v1alpha1.SFTPUser, 0, len(users))
	for i := range users {
		if users[i].DeletionTimestamp.IsZero() {
			out = append(out, &users[i])
		}
	}
	return out
}

func bySeniority(a, b *v1alpha1.SFTPUser) int {
	if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
		return c
	}
	return byName(a, b)
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
