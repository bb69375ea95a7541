package operator

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func TestListenerAdmitsItsOwnNamespaceAlone(t *testing.T) {
	l := readyListener(t, namespace(t, nil))
	tenant := namespace(t, nil)
	u := newUser(tenant, "acme", of(l))
	create(t, u)
	message := `SFTPListener "partners" does not admit users of namespace "` + tenant + `"; its owner decides in spec.allowedUsers.rules`
	waitRefused(t, u, "NotAllowedByListener", message)

	change(t, l, admitting(v1alpha1.NamespacesAll, nil))
	waitReady(t, u)
	change(t, l, admitting(v1alpha1.NamespacesSame, nil))
	waitRefused(t, u, "NotAllowedByListener", message)
}

func TestNamespaceThatLosesItsLabel(t *testing.T) {
	l := readyListener(t, namespace(t, nil), admitting(v1alpha1.NamespacesSelector, &v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"sftp": "yes"}}))
	tenant := namespace(t, map[string]string{"sftp": "yes"})
	u := newUser(tenant, "acme", of(l))
	create(t, u)
	waitReady(t, u)

	label := func(value string) {
		change(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant}}, func(ns *corev1.Namespace) { ns.Labels["sftp"] = value })
	}
	label("no")
	waitRefused(t, u, "NotAllowedByListener", `SFTPListener "partners" does not admit users of namespace "`+tenant+`"; its owner decides in spec.allowedUsers.rules`)
	label("yes")
	waitReady(t, u)
}

func TestUsernameIsTaken(t *testing.T) {
	l := readyListener(t, namespace(t, nil), admitting(v1alpha1.NamespacesAll, nil))
	// Namespaces are ordered by name, which decides between users created in the same second.
	a, b := namespace(t, nil), namespace(t, nil)
	first, second := newUser(a, "acme", of(l)), newUser(b, "partner", of(l), func(u *v1alpha1.SFTPUser) { u.Spec.Username = "acme" })
	create(t, first)
	waitReady(t, first)
	create(t, second)
	waitRefused(t, second, "UsernameConflict", `The login name "acme" is taken by an SFTPUser of another namespace, which is older or had it before; the name is immutable, so delete this SFTPUser and recreate it with a different spec.username`)

	change(t, first, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended })
	waitFor(t, first, "Accepted", "False", "Suspended", "")
	waitRefused(t, second, "UsernameConflict", "")

	remove(t, first)
	waitReady(t, second)
}

func TestNamespacePrefixedNames(t *testing.T) {
	l := readyListener(t, namespace(t, nil), admitting(v1alpha1.NamespacesAll, nil), func(l *v1alpha1.SFTPListener) {
		l.Spec.AllowedUsers.Usernames = "" // the default
	})
	own := newUser(l.Namespace, "acme", of(l))
	create(t, own)
	waitReady(t, own)
	if own.Status.Username != "acme" {
		t.Errorf("username %q in the listener's own namespace", own.Status.Username)
	}
	a, b := newUser(namespace(t, nil), "acme", of(l)), newUser(namespace(t, nil), "acme", of(l))
	for _, u := range []*v1alpha1.SFTPUser{a, b} {
		create(t, u)
		waitReady(t, u)
		if want := u.Namespace + ".acme"; u.Status.Username != want {
			t.Errorf("username %q, want %q", u.Status.Username, want)
		}
	}
}

func TestListenerIsFull(t *testing.T) {
	ns := namespace(t, nil)
	readyListener(t, ns, func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(1)) })
	first, second := newUser(ns, "a"), newUser(ns, "b")
	create(t, first)
	waitReady(t, first)
	create(t, second)
	waitRefused(t, second, "ListenerFull", "The listener has maxUsers: 1 logins already; ask its owner to raise it")
	remove(t, first)
	waitReady(t, second)
}

// The whole volume holds the files of all tenants.
func TestWholeVolumeOfAnothersListener(t *testing.T) {
	l := readyListener(t, namespace(t, nil), admitting(v1alpha1.NamespacesAll, nil))
	u := newUser(namespace(t, nil), "acme", of(l), func(u *v1alpha1.SFTPUser) { u.Spec.HomeDirectory.Scope = v1alpha1.ScopeVolume })
	create(t, u)
	waitRefused(t, u, "DirectoryNotAllowed", `spec.homeDirectory asks for the whole volume "home", which the listener does not open to users of namespace "`+u.Namespace+
		`"; use its home volume with scope User or Namespace, or ask its owner to change the rule "tenants" of spec.allowedUsers`)
}
