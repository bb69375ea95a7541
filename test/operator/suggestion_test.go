package operator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// A refused user learns which listeners admit it, even if that changes later, but a listener that changes all the time does not
// cause the statuses of refused users to be written all the time.
func TestSuggestionsFollowListeners(t *testing.T) {
	const interval = 2 * time.Second
	o := running.options
	t.Cleanup(func() { replaceOperator(t, o, func() {}) })
	next := o
	next.SuggestInterval = interval
	replaceOperator(t, next, func() {})

	ns := namespace(t, nil)
	u := newUser(ns, "acme", func(u *v1alpha1.SFTPUser) { u.Spec.ListenerRef.Name = "another" })
	create(t, u)
	waitRefused(t, u, "ListenerNotFound", "")
	suggested := func() bool {
		get(t, u, ns, "acme")
		c := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionAccepted)
		return strings.Contains(c.Message, ": "+ns+"/partners")
	}
	if suggested() {
		t.Fatal("a listener that does not exist is suggested")
	}
	l := newListener(ns)
	create(t, l)
	eventually(t, func() error {
		if !suggested() {
			return fmt.Errorf("the listener is not suggested: %+v", u.Status.Conditions)
		}
		return nil
	})

	begin, versions := time.Now(), map[string]bool{}
	rules := func(from v1alpha1.NamespacesFrom) func(*v1alpha1.SFTPListener) {
		return func(l *v1alpha1.SFTPListener) {
			l.Spec.AllowedUsers.Rules = []v1alpha1.AllowedUsersRule{{Name: "a", Namespaces: v1alpha1.AllowedNamespaces{From: from}}}
			if from == v1alpha1.NamespacesNames {
				l.Spec.AllowedUsers.Rules[0].Namespaces.Names = []string{"elsewhere"}
			}
		}
	}
	for range 20 {
		for _, from := range []v1alpha1.NamespacesFrom{v1alpha1.NamespacesNames, v1alpha1.NamespacesAll} {
			change(t, l, rules(from))
			get(t, u, ns, "acme")
			versions[u.ResourceVersion] = true
		}
	}
	if most := 2 + int(time.Since(begin)/interval); len(versions) > most {
		t.Errorf("40 changes to a listener within %s caused %d versions of a user, more than %d", time.Since(begin), len(versions), most)
	}
	change(t, l, rules(v1alpha1.NamespacesNames))
	eventually(t, func() error {
		if suggested() {
			return fmt.Errorf("a listener that does not admit it is suggested")
		}
		return nil
	})
}
