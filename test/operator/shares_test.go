package operator

import (
	"fmt"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// share gives each namespace a number of logins.
func share(logins int32) func(*v1alpha1.SFTPListener) {
	return func(l *v1alpha1.SFTPListener) { l.Spec.AllowedUsers.Rules[0].MaxUsers = &logins }
}

// Users beyond the share of a namespace are refused, those that already have a login keep it, and other namespaces are not affected.
func TestShareOfANamespace(t *testing.T) {
	l := readyListener(t, namespace(t, nil), admitting(v1alpha1.NamespacesAll, nil), share(2))
	a, b := namespace(t, nil), namespace(t, nil)
	other := newUser(b, "other", of(l))
	create(t, other)
	waitReady(t, other)
	otherVersion := other.ResourceVersion
	var users []*v1alpha1.SFTPUser
	for i := range 3 {
		u := newUser(a, fmt.Sprintf("u%d", i), of(l))
		create(t, u)
		users = append(users, u)
		if i < 2 {
			waitReady(t, u)
			time.Sleep(time.Second) // users created in the same second are ordered by their UIDs
		}
	}
	full := func(logins int) string {
		return fmt.Sprintf(`Namespace %q has %d logins already, which is its limit on the listener; remove or suspend one, `+
			`or ask its owner to change the rule "tenants" of spec.allowedUsers`, a, logins)
	}
	waitRefused(t, users[2], "NamespaceFull", full(2))

	// Editing a user that has a login evicts no other user, and does not make it lose its own login.
	change(t, users[0], func(u *v1alpha1.SFTPUser) { u.Spec.Limits.MaxConnections = new(int32(3)) })
	waitReady(t, users[0])
	waitRefused(t, users[2], "NamespaceFull", full(2))
	waitReady(t, users[1])

	// A smaller share: the oldest user stays, and the sessions of the others end like those of a deleted user.
	change(t, l, share(1))
	waitRefused(t, users[1], "NamespaceFull", full(1))
	waitReady(t, users[0])
	eventually(t, func() error { return without(t, l, "u1") })

	remove(t, users[0])
	waitReady(t, users[1])
	waitRefused(t, users[2], "NamespaceFull", full(1))

	get(t, other, b, "other")
	if other.ResourceVersion != otherVersion {
		t.Errorf("actions in another namespace have changed this namespace's user: %+v", other.Status)
	}
}

// Narrowing a rule removes access at once, and the condition names the rule.
func TestRuleIsNarrowed(t *testing.T) {
	l := readyListener(t, namespace(t, nil), admitting(v1alpha1.NamespacesAll, nil))
	u := newUser(namespace(t, nil), "acme", of(l))
	create(t, u)
	waitReady(t, u)
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.AllowedUsers.Rules[0].Access = v1alpha1.AccessReadOnly })
	waitRefused(t, u, "AccessNotAllowed", `spec.homeDirectory asks for ReadWrite, which the listener does not allow users of namespace "`+u.Namespace+
		`" there; set a different access, or ask its owner to change the rule "tenants" of spec.allowedUsers`)
	eventually(t, func() error { return without(t, l, "acme") })
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.HomeDirectory.Access = v1alpha1.AccessReadOnly })
	waitReady(t, u)
}

// without returns an error if the pods would load a login.
func without(t *testing.T, l *v1alpha1.SFTPListener, username string) error {
	t.Helper()
	if got := loadable(t, l); got == nil || got[username] {
		return fmt.Errorf("the pods would load %v", got)
	}
	return nil
}
