package e2e

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Changes to users restart no pod and end no other user's session.
func TestUserChangesLeaveOthersAlone(t *testing.T) {
	ns := newNamespace(t, "churn", nil)
	l := newListener(t, ns, "partners", nil)
	k, second := newKey(t), newKey(t)
	newUser(t, l, ns, "bystander", keyAuth(k))
	var live []*session
	for range 5 {
		live = append(live, mustLogin(t, l, "bystander", ssh.PublicKeys(k.signer)))
	}
	before := podUIDs(t, l)

	changes := 0
	var users []*v1alpha1.SFTPUser
	for i := range 50 {
		u := userOf(l, ns, fmt.Sprintf("user-%d", i), keyAuth(k))
		must(t, kube.Create(t.Context(), u))
		users = append(users, u)
		changes++
	}
	for _, u := range users {
		update(t, u, func(u *v1alpha1.SFTPUser) {
			u.Spec.Authentication.AuthorizedKeys = append(u.Spec.Authentication.AuthorizedKeys, second.line)
		})
		changes++
	}
	for _, u := range users {
		update(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended })
		changes++
	}
	for _, u := range users[1:] {
		must(t, kube.Delete(t.Context(), u))
		changes++
	}
	update(t, users[0], func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserActive })
	changes++
	waitReady(t, users[0], 30*time.Second)
	mustLogin(t, l, "user-0", ssh.PublicKeys(second.signer))

	if changes < 200 {
		t.Fatalf("only %d changes", changes)
	}
	if after := podUIDs(t, l); !maps.Equal(before, after) {
		t.Errorf("pods changed from %v to %v", before, after)
	}
	for i, s := range live {
		if !s.alive() {
			t.Errorf("session %d of a user that did not change was dropped", i)
		}
	}
	fmt.Printf("CHURN %d changes, pods before %v and after %v, %d of %d bystanders' sessions live\n", changes, before, podUIDs(t, l), len(live), len(live))
}

func podUIDs(t *testing.T, l *v1alpha1.SFTPListener) map[types.UID]int32 {
	t.Helper()
	out := map[types.UID]int32{}
	for _, p := range podsOf(t, l) {
		restarts := int32(0)
		for _, c := range p.Status.ContainerStatuses {
			restarts += c.RestartCount
		}
		out[p.UID] = restarts
	}
	return out
}

// A string planted in a Secret as a password appears nowhere else: in no object, event or log of the cluster.
func TestPasswordStaysInItsSecret(t *testing.T) {
	const password = "planted-Zebra-4711-password"
	ns := newNamespace(t, "leak", nil)
	l := newListener(t, ns, "partners", nil)
	newSecret(t, ns, "planted", map[string]string{"password": password})
	newUser(t, l, ns, "alice", v1alpha1.UserAuthentication{PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: "planted"}})
	s := mustLogin(t, l, "alice", ssh.Password(password))
	s.roundTrip(t, "file", 1000)
	if _, err := login(t, l, "alice", ssh.Password(password+"-wrong")); err == nil {
		t.Fatal("a wrong password logs in")
	}
	// An unusable password must not appear in the message about it.
	newSecret(t, ns, "with-line-end", map[string]string{"password": password + "\n"})
	u := userOf(l, ns, "bob", v1alpha1.UserAuthentication{PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: "with-line-end"}})
	must(t, kube.Create(t.Context(), u))
	waitCondition(t, u, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonInvalidPassword, 30*time.Second)

	dumpAll := clusterDump(t)
	for where, text := range dumpAll {
		for _, form := range passwordForms(password) {
			if containsFold(text, form) {
				t.Errorf("the password is in %s", where)
			}
		}
	}
	var holders int
	var secrets corev1.SecretList
	must(t, kube.List(t.Context(), &secrets))
	for _, s := range secrets.Items {
		for key, value := range s.Data {
			if containsFold(string(value), password) && s.Name != "planted" && s.Name != "with-line-end" {
				t.Errorf("the password is in Secret %s/%s, entry %s", s.Namespace, s.Name, key)
			} else if containsFold(string(value), password) {
				holders++
			}
		}
	}
	if holders != 2 {
		t.Errorf("found the password in %d Secrets; the search itself must find the 2 planted ones", holders)
	}
	fmt.Printf("LEAK searched %d dumps, the password is only in the 2 Secrets that were planted\n", len(dumpAll))
}
