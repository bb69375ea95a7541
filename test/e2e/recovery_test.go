package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// A deleted pod comes back with the same host key and the same files.
func TestPodDeleted(t *testing.T) {
	ns := newNamespace(t, "pod", nil)
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	newUser(t, l, ns, "acme", keyAuth(k))
	s := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
	s.roundTrip(t, "kept", 100_000)
	fingerprint := l.Status.HostKeys[0].Fingerprint
	old := podsOf(t, l)[0]

	must(t, kube.Delete(t.Context(), &old, client.GracePeriodSeconds(0)))
	eventually(t, 2*time.Minute, "another pod serves the same host key and file", func() bool {
		s, err := login(t, l, "acme", ssh.PublicKeys(k.signer)) // checks the previous host key
		if err != nil {
			return false
		}
		info, err := s.Stat("kept")
		return err == nil && info.Size() == 100_000
	})
	must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(l), l))
	if got := l.Status.HostKeys[0].Fingerprint; got != fingerprint {
		t.Errorf("the host key was %s and is now %s", fingerprint, got)
	}
	if pods := podsOf(t, l); len(pods) != 1 || pods[0].UID == old.UID {
		t.Errorf("pods: %v", pods)
	}
	fmt.Printf("RECOVERY pod deleted: host key %s unchanged, file still there\n", fingerprint)
}

// Without the operator logins continue; when it is back it processes the changes.
func TestOperatorDeleted(t *testing.T) {
	ns := newNamespace(t, "operator", nil)
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	acme := newUser(t, l, ns, "acme", keyAuth(k))
	live := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))

	scaleOperator(t, 0)
	for i := range 5 {
		s := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
		s.roundTrip(t, fmt.Sprintf("file-%d", i), 10_000)
	}
	late := userOf(l, ns, "late", keyAuth(k))
	must(t, kube.Create(t.Context(), late))
	update(t, acme, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended })
	if !live.alive() {
		t.Error("a session was dropped although no operator acted on the change")
	}

	start := time.Now()
	scaleOperator(t, 1)
	waitReady(t, late, time.Minute)
	live.closedAfter(t, start)
	fmt.Printf("RECOVERY operator deleted: 5 of 5 logins; after its return it processed both changes\n")
}

func scaleOperator(t *testing.T, replicas int32) {
	t.Helper()
	d := setOperatorReplicas(t, replicas)
	eventually(t, time.Minute, fmt.Sprintf("the operator has %d pods", replicas), func() bool {
		var pods corev1.PodList
		must(t, kube.List(t.Context(), &pods, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/component": "manager"}))
		must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(d), d))
		return len(pods.Items) == int(replicas) && d.Status.ReadyReplicas == replicas
	})
}

func setOperatorReplicas(t *testing.T, replicas int32) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: operatorDeployment(t)}}
	update(t, d, func(d *appsv1.Deployment) { d.Spec.Replicas = &replicas })
	return d
}

func operatorDeployment(t *testing.T) string {
	t.Helper()
	var list appsv1.DeploymentList
	must(t, kube.List(t.Context(), &list, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/component": "manager"}))
	if len(list.Items) != 1 {
		t.Fatalf("%d Deployments of the operator", len(list.Items))
	}
	return list.Items[0].Name
}

// A deleted host key is not recreated: pods continue, even new ones, and the condition says what to do; restoring the Secret
// fixes it.
func TestHostKeySecretDeleted(t *testing.T) {
	ns := newNamespace(t, "hostkey", nil)
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	newUser(t, l, ns, "acme", keyAuth(k))
	live := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
	before := podUIDs(t, l)

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-ed25519"}}
	must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(secret), secret))
	backup := secret.DeepCopy()
	must(t, kube.Delete(t.Context(), secret))

	message := waitCondition(t, l, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonHostKeyNotFound, 30*time.Second)
	fmt.Printf("RECOVERY host key Secret deleted: %s\n", message)
	if !strings.Contains(message, "restore it") || !strings.Contains(message, "delete this SFTPKey") {
		t.Errorf("the message does not say what to do: %s", message)
	}
	time.Sleep(3 * time.Second) // enough time for a new key
	if err := kube.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the Secret was recreated, or: %v", err)
	}
	if after := podUIDs(t, l); len(after) != len(before) || !live.alive() {
		t.Errorf("pods %v became %v; session alive: %v", before, after, live.alive())
	}
	mustLogin(t, l, "acme", ssh.PublicKeys(k.signer)) // with the previous host key
	second := newUser(t, l, ns, "second", keyAuth(k)) // changes still reach the pods
	mustLogin(t, l, second.Name, ssh.PublicKeys(k.signer))

	old := podsOf(t, l)[0]
	must(t, kube.Delete(t.Context(), &old, client.GracePeriodSeconds(0)))
	eventually(t, 2*time.Minute, "a new pod serves the old host key", func() bool {
		_, err := login(t, l, "acme", ssh.PublicKeys(k.signer))
		return err == nil
	})

	backup.ResourceVersion, backup.UID = "", ""
	must(t, kube.Create(t.Context(), backup))
	waitReady(t, l, 30*time.Second)
}
