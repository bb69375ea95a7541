package operator

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Labels of users choose sinks, within seconds and without restarting anything, and only among the users of the namespace that
// the listener's owner names: a tenant that labels its user like another tenant's gains nothing, and reveals nothing.
func TestSinksSelectUsersByLabels(t *testing.T) {
	ns, tenant := namespace(t, nil), namespace(t, nil)
	red := &v1alpha1.EventUserSelector{MatchLabels: map[string]string{"team": "red"}}
	own, theirs := toService("own"), toService("theirs")
	own.Users = []v1alpha1.EventUserReference{{Selector: red}}
	theirs.Users = []v1alpha1.EventUserReference{{Namespace: tenant, Selector: red}}
	readyListener(t, ns, withEvents(own, theirs), func(l *v1alpha1.SFTPListener) {
		l.Spec.AllowedUsers.Rules = []v1alpha1.AllowedUsersRule{{Name: "all", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}}}
	})
	labeled := func(u *v1alpha1.SFTPUser) { u.Labels = map[string]string{"team": "red"} }
	of := func(u *v1alpha1.SFTPUser) { u.Spec.ListenerRef.Namespace = ns }
	ada, bob, eve := newUser(ns, "ada", labeled), newUser(ns, "bob"), newUser(tenant, "eve", of, labeled)
	for _, u := range []*v1alpha1.SFTPUser{ada, bob, eve} {
		create(t, u)
		waitReady(t, u)
	}
	expect := func(want string) {
		t.Helper()
		eventually(t, func() error {
			var have []string
			logins := pods.logins(ns)
			for _, u := range []*v1alpha1.SFTPUser{ada, bob, eve} {
				have = append(have, u.Name+"="+strings.Join(logins[u.Status.Username].EventSinks, ","))
			}
			if got := strings.Join(have, " "); got != want {
				return fmt.Errorf("%s, want %s", got, want)
			}
			return nil
		})
	}
	expect("ada=own bob= eve=theirs")
	change(t, bob, func(u *v1alpha1.SFTPUser) { metav1.SetMetaDataLabel(&u.ObjectMeta, "team", "red") })
	expect("ada=own bob=own eve=theirs")
	change(t, ada, func(u *v1alpha1.SFTPUser) { u.Labels = nil })
	expect("ada= bob=own eve=theirs")
}
