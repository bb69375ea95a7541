package e2e

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/test/openshift"
)

// Where admission assigns users and groups and refuses all others, as OpenShift's restricted-v2 does, the operator and
// listeners run without any grant, and files are kept.
func TestOpenShiftLikeAdmission(t *testing.T) {
	remove, err := openshift.Install(t.Context(), kube)
	must(t, err)
	labelOperator := func(value string) {
		ns := &corev1.Namespace{}
		must(t, kube.Get(t.Context(), client.ObjectKey{Name: operatorNamespace}, ns))
		before := ns.DeepCopy()
		if ns.Labels == nil {
			ns.Labels = map[string]string{}
		}
		ns.Labels[openshift.Label] = value
		must(t, kube.Patch(t.Context(), ns, client.MergeFrom(before)))
	}
	labelOperator("true")
	t.Cleanup(func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
		if err := installWithHelm(); err != nil {
			t.Errorf("install as before: %v", err)
		}
	})
	// With --wait: the new operator is ready, with a user in the range.
	must(t, installWithHelm("--set", "adaptSecurityContext=force"))
	eventually(t, time.Minute, "the former operator is gone", func() bool {
		var pods corev1.PodList
		must(t, kube.List(t.Context(), &pods, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/component": "manager"}))
		return len(pods.Items) == 1
	})
	inRange(t, operatorPod(t))

	ns := newNamespace(t, "openshift", map[string]string{openshift.Label: "true"})
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	newUser(t, l, ns, "acme", keyAuth(k))
	s := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
	s.roundTrip(t, "kept", 100_000)
	waitCondition(t, l, "VolumesWritable", "True", "VolumesWritable", time.Minute)
	pods := podsOf(t, l)
	inRange(t, &pods[0])

	// Another pod, which gets the same group, reads what the first one wrote.
	must(t, kube.Delete(t.Context(), &pods[0], client.GracePeriodSeconds(0)))
	eventually(t, 2*time.Minute, "another pod serves the file", func() bool {
		s, err := login(t, l, "acme", ssh.PublicKeys(k.signer))
		if err != nil {
			return false
		}
		info, err := s.Stat("kept")
		return err == nil && info.Size() == 100_000
	})
	fmt.Println("OPENSHIFT operator and listener run with an assigned user and group, file still there after a restart")
}

// inRange fails for a pod that does not run with a user and group in the range.
func inRange(t *testing.T, p *corev1.Pod) {
	t.Helper()
	c := p.Spec.SecurityContext
	if c == nil || c.RunAsUser == nil || *c.RunAsUser < openshift.FirstID || *c.RunAsUser > openshift.LastID || c.FSGroup == nil || *c.FSGroup != openshift.FirstID {
		t.Errorf("pod %s/%s runs with %+v", p.Namespace, p.Name, c)
	}
}
