package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// helm test logs in to its own endpoint, uploads and downloads a file, and leaves nothing behind that would make it fail the next time.
func TestHelmTest(t *testing.T) {
	dumpOnFailure(t)
	for range 2 {
		out, err := output(4*time.Minute, os.Getenv("HELM"), "test", "sftp-operator", "--namespace", operatorNamespace, "--timeout", "3m")
		must(t, err)
		if !strings.Contains(out, "Succeeded") {
			t.Errorf("helm test does not say that it succeeded:\n%s", out)
		}
	}
}

// The kustomize manifests install the same operator as the chart. Listeners and users created under one continue under the other.
func TestKustomizeInstall(t *testing.T) {
	ns := newNamespace(t, "kustomize", nil)
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	newUser(t, l, ns, "before", keyAuth(k))
	live := mustLogin(t, l, "before", ssh.PublicKeys(k.signer))

	must(t, uninstallHelm())
	manifests := kustomized(t)
	t.Cleanup(func() {
		// Everything except the namespace and the CRDs, which hold the users' objects.
		file := filepath.Join(t.TempDir(), "delete.yaml")
		must(t, os.WriteFile(file, []byte(withoutKinds(t, manifests, "CustomResourceDefinition", "Namespace")), 0o600))
		if out, err := kubectl("delete", "--ignore-not-found", "-f", file); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		// The CRDs now carry the labels of kustomize.
		if err := installWithHelm("--take-ownership"); err != nil {
			t.Errorf("install with Helm again: %v", err)
		}
	})
	file := filepath.Join(t.TempDir(), "install.yaml")
	must(t, os.WriteFile(file, []byte(manifests), 0o600))
	out, err := kubectl("apply", "--server-side", "--force-conflicts", "-f", file)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err = kubectl("-n", operatorNamespace, "rollout", "status", "deployment", "--timeout=2m")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	newUser(t, l, ns, "after", keyAuth(k))
	mustLogin(t, l, "after", ssh.PublicKeys(k.signer)).roundTrip(t, "file", 10_000)
	if !live.alive() {
		t.Error("a session was dropped when the installation changed")
	}
	fmt.Println("INSTALL by Helm and by kustomize, with a session that continued")
}

// kustomized renders config/default with the image under test.
func kustomized(t *testing.T) string {
	t.Helper()
	// Kustomize accepts only relative resource paths.
	dir := t.TempDir()
	base, err := filepath.Abs("../../config/default")
	must(t, err)
	base, err = filepath.Rel(dir, base)
	must(t, err)
	overlay := fmt.Sprintf("resources: [%s]\nimages:\n- {name: ghcr.io/sftp-operator/sftp-operator, newName: %s, newTag: %s}\n",
		base, imageRepository(), imageTag())
	must(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(overlay), 0o600))
	out, err := output(time.Minute, os.Getenv("KUSTOMIZE"), "build", dir)
	must(t, err)
	return out
}

func withoutKinds(t *testing.T, manifests string, kinds ...string) string {
	t.Helper()
	var kept []string
documents:
	for doc := range strings.SplitSeq(manifests, "\n---\n") {
		for _, k := range kinds {
			if strings.Contains("\n"+doc, "\nkind: "+k+"\n") {
				continue documents
			}
		}
		kept = append(kept, doc)
	}
	return strings.Join(kept, "\n---\n")
}

// Deleting a listener deletes its objects, but neither the host key nor the files.
func TestListenerDeleted(t *testing.T) {
	ns := newNamespace(t, "deleted", nil)
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	u := newUser(t, l, ns, "acme", keyAuth(k))
	mustLogin(t, l, "acme", ssh.PublicKeys(k.signer)).roundTrip(t, "kept", 5000)
	fingerprint := l.Status.HostKeys[0].Fingerprint

	must(t, kube.Delete(t.Context(), l))
	eventually(t, time.Minute, "the pods and the Service are gone", func() bool {
		svc := &corev1.Service{}
		err := kube.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: "partners-sftp"}, svc)
		return apierrors.IsNotFound(err) && len(podsOf(t, l)) == 0
	})
	must(t, kube.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: "partners-ed25519"}, &corev1.Secret{}))
	must(t, kube.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: "partners-data"}, &corev1.PersistentVolumeClaim{}))
	waitCondition(t, u, "Accepted", "False", "ListenerNotFound", 30*time.Second)

	again := newListener(t, ns, "partners", nil)
	if got := again.Status.HostKeys[0].Fingerprint; got != fingerprint {
		t.Errorf("the host key was %s and is now %s", fingerprint, got)
	}
	waitReady(t, u, 30*time.Second)
	info, err := mustLogin(t, again, "acme", ssh.PublicKeys(k.signer)).Stat("kept")
	must(t, err)
	fmt.Printf("RECOVERY listener deleted and recreated: host key %s unchanged, file of %d bytes still there\n", fingerprint, info.Size())
}
