//go:build upgrade

package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// TestDowngrade goes from this tree to an earlier version and back, with the CRDs left as they are (docs/upgrading.md): endpoints
// keep their host keys, files and users, and the objects keep fields that the earlier version may not know.
func TestDowngrade(t *testing.T) {
	dumpOnFailure(t, operatorNamespace)
	must(t, installWithHelm())
	ns := newNamespace(t, "downgrade", nil)
	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		s.Retention.StaleUploadSeconds = new(int32(172800)) // since v0.1.0
	})
	k := newKey(t)
	newUser(t, l, ns, "acme", keyAuth(k))
	live := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
	live.roundTrip(t, "before", 10_000)
	fingerprint, spec, crds := l.Status.HostKeys[0].Fingerprint, specOf(t, l), generationOfCRD(t)

	start := time.Now()
	must(t, command(3*time.Minute, os.Getenv("HELM"), "upgrade", "sftp-operator", os.Getenv("PREVIOUS_CHART"),
		"--namespace", operatorNamespace, "--wait", "--timeout", "2m", "--set", "crds.enabled=false",
		"--set", "image.repository="+imageRepository(), "--set", "image.digest=", "--set", "image.tag=previous", "--set", "image.pullPolicy=Never"))
	check := func(image, step string) {
		t.Helper()
		_, err := kubectl("wait", "deployment", "-n", ns, "-l", "app.kubernetes.io/name=sftpd",
			"--for=jsonpath={.spec.template.spec.containers[0].image}="+image, "--timeout=100s")
		must(t, err)
		waitCondition(t, l, v1alpha1.ConditionRolledOut, "True", v1alpha1.ReasonRolledOut, 100*time.Second)
		waitReady(t, l, time.Minute)
		reachable(t, l)
		if got := l.Status.HostKeys[0].Fingerprint; got != fingerprint {
			t.Errorf("%s: the host key was %s and is now %s", step, fingerprint, got)
		}
		if got := specOf(t, l); got != spec {
			t.Errorf("%s: spec was %s and is now %s", step, spec, got)
		}
		s := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
		if _, err := s.Stat("before"); err != nil {
			t.Errorf("%s: a file from before the upgrade: %v", step, err)
		}
		s.roundTrip(t, step, 10_000)
	}
	check(imageRepository()+":previous", "downgraded")
	down := time.Since(start)
	if got := generationOfCRD(t); got != crds {
		t.Errorf("the CRD had generation %d and now has %d: the downgrade changed it", crds, got)
	}
	select {
	case <-live.closed:
	case <-time.After(30 * time.Second):
		t.Error("the session outlived its pod")
	}

	start = time.Now()
	must(t, installWithHelm())
	check(image, "upgraded again")
	fmt.Printf("DOWNGRADE to %s in %s and back in %s: the same host key, files and objects\n", os.Getenv("PREVIOUS_VERSION"),
		down.Round(100*time.Millisecond), time.Since(start).Round(100*time.Millisecond))
}

// specOf returns the spec of a listener as it is stored.
func specOf(t *testing.T, l *v1alpha1.SFTPListener) string {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("SFTPListener"))
	must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(l), u))
	return fmt.Sprint(u.Object["spec"])
}

// generationOfCRD returns the generation of the CRD of listeners, which counts the changes to its schema.
func generationOfCRD(t *testing.T) int64 {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	must(t, kube.Get(t.Context(), client.ObjectKey{Name: "sftplisteners.sftp-operator.io"}, u))
	return u.GetGeneration()
}
