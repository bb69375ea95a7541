package operator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientrest "k8s.io/client-go/rest"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/test/apiserver"
)

// scopedAccount returns an account with the permissions that the chart grants with scopedNamespaces (test/chart compares them):
// all of the operator's permissions in these namespaces, and permission to read Namespaces cluster-wide.
func scopedAccount(t *testing.T, namespaces ...string) *clientrest.Config {
	t.Helper()
	all := &rbacv1.ClusterRole{}
	get(t, all, "", apiserver.OperatorRole)
	role := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Name: "scoped"}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "scoped"}}
	cluster := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: role.Name}}
	var inside []rbacv1.PolicyRule
	for _, rule := range all.Rules {
		if slices.Contains(rule.Resources, "namespaces") {
			read := rule
			read.Resources = []string{"namespaces"}
			cluster.Rules = append(cluster.Rules, read)
		}
		rule.Resources = slices.DeleteFunc(slices.Clone(rule.Resources), func(r string) bool { return r == "namespaces" })
		if len(rule.Resources) > 0 {
			inside = append(inside, rule)
		}
	}
	create(t, cluster)
	role.Kind = "ClusterRole"
	create(t, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: role, Subjects: subjects})
	role.Kind = "Role"
	for _, ns := range namespaces {
		create(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: role.Name}, Rules: inside})
		create(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: role.Name}, RoleRef: role, Subjects: subjects})
	}
	account, err := apiserver.Account(environment, "scoped")
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// An operator confined to some namespaces does everything there that it otherwise does everywhere, with permissions only in
// these, and does not touch the others.
func TestScopedNamespaces(t *testing.T) {
	first, second, outside := namespace(t, map[string]string{"team": "a"}), namespace(t, nil), namespace(t, map[string]string{"team": "a"})
	restartOperator(t, func() {
		p, err := start(scopedAccount(t, first, second), defaultOptions(), first, second)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := p.stop(); err != nil {
				t.Error(err)
			}
		}()
		foreign := newListener(outside)
		create(t, foreign)
		create(t, newUser(outside, "foreign"))

		// The second namespace's listener admits users by the labels of their Namespaces, and users in the first one refer to it.
		l := readyListener(t, second, admitting(v1alpha1.NamespacesSelector, &v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"team": "a"}}))
		create(t, passwordSecret(first, "acme-password", "hunter2-do-not-tell"))
		acme := newUser(first, "acme", withPassword("acme-password"), of(l))
		create(t, acme)
		waitReady(t, acme)
		remove(t, acme)
		eventually(t, func() error { return missing(pods.logins(second), "acme") })

		// A user outside that refers to a listener inside is ignored.
		stranger := newUser(outside, "stranger", of(l))
		create(t, stranger)
		time.Sleep(time.Second)
		for _, u := range []*v1alpha1.SFTPUser{stranger, newUser(outside, "foreign")} {
			get(t, u, outside, u.Name)
			if u.Status.ObservedGeneration != 0 {
				t.Errorf("SFTPUser %s outside of its namespaces has a status: %+v", u.Name, u.Status)
			}
		}
		if err := missing(pods.logins(second), "stranger"); err != nil {
			t.Error(err)
		}
		if secrets := items(t, &corev1.SecretList{}, outside); len(secrets) > 0 {
			t.Errorf("the operator created %d Secrets outside of its namespaces", len(secrets))
		}
	})
}

// missing returns an error if there is a login with the given name.
func missing(logins map[string]config.User, name string) error {
	if _, ok := logins[name]; ok {
		return fmt.Errorf("the pods have the login %q", name)
	}
	return nil
}
