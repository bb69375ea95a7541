package operator

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// The key that clients know never changes unless someone asks for it.
func TestHostKeySecretIsDeleted(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	fingerprint := l.Status.HostKeys[0].Fingerprint
	secret, inUse := &corev1.Secret{}, &corev1.Secret{}
	get(t, secret, ns, "partners-ed25519")
	get(t, inUse, ns, "partners-sftp-config")
	remove(t, secret.DeepCopy())

	message := `Secret "partners-ed25519" with the key ` + fingerprint + ` is gone; restore it from a backup. No new key is generated, because clients would treat it as an attack; ` +
		`to give up the old key for good, delete this SFTPKey and create it again`
	k := &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-ed25519"}}
	waitFor(t, k, "Ready", "False", "SecretNotFound", message)
	message = `SFTPKey "partners-ed25519": ` + message +
		`. The pods keep the host keys that they have; copies of the private keys are in Secret "partners-sftp-config"`
	waitFor(t, l, "ResolvedRefs", "False", "HostKeyNotFound", message)
	waitFor(t, l, "Ready", "False", "HostKeyNotFound", message)

	if err := api.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); !apierrors.IsNotFound(err) {
		t.Errorf("a new key was created: %v", err)
	}
	// Users are added and removed as before, with the key that the pods have.
	u := newUser(ns, "acme")
	create(t, u)
	waitReady(t, u)
	after := &corev1.Secret{}
	get(t, after, ns, "partners-sftp-config")
	if string(after.Data["hostkey-0"]) != string(inUse.Data["hostkey-0"]) || len(after.Data["hostkey-0"]) == 0 {
		t.Error("the host key in the pods' Secret was changed")
	}

	// Even an operator without previous state keeps it.
	restartOperator(t, func() {})
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Limits.MaxConnections = new(int32(2)) })
	waitReady(t, u)
	get(t, after, ns, "partners-sftp-config")
	if string(after.Data["hostkey-0"]) != string(inUse.Data["hostkey-0"]) {
		t.Error("the host key in the pods' Secret was changed by a restart of the operator")
	}

	// The remedy in the message works.
	restored := secret.DeepCopy()
	restored.ResourceVersion, restored.UID = "", ""
	create(t, restored)
	waitFor(t, k, "Ready", "True", "Ready", `The key is in Secret "partners-ed25519"`)
	waitFor(t, l, "Ready", "True", "Ready", "")
}

func TestHostKeyOutlivesItsListener(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	want := l.Status.KnownHosts
	remove(t, l)
	collectGarbage(t, ns, l)

	again := newListener(ns)
	create(t, again)
	readyPod(t, again, "b") // the key of the first listener is not its own
	waitFor(t, again, "Ready", "True", "Ready", "")
	if fmt.Sprint(again.Status.KnownHosts) != fmt.Sprint(want) {
		t.Errorf("known_hosts %q, want the previous ones, %q", again.Status.KnownHosts, want)
	}
}

// A listener that is recreated before the garbage collector has run waits for it, and its status says so.
func TestListenerIsMadeAgainAtOnce(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	remove(t, l)
	again := newListener(ns)
	create(t, again)
	waitFor(t, again, "ObjectsApplied", "False", "ResourceConflict", "")
	collectGarbage(t, ns, l)
	readyPod(t, again, "b")
	waitFor(t, again, "Ready", "True", "Ready", "")
}

// collectGarbage deletes what an object owns, from now until the end of the test: there is no garbage collector here, and an
// operator whose cache lags behind may recreate what is gone.
func collectGarbage(t *testing.T, ns string, owner client.Object) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { stop(); <-done })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			for _, list := range ownedKinds() {
				if err := api.List(ctx, list, client.InNamespace(ns)); err != nil {
					continue // the test has ended, or the next round will show it
				}
				_ = meta.EachListItem(list, func(o runtime.Object) error {
					if owned, ok := o.(client.Object); ok && metav1.IsControlledBy(owned, owner) {
						return api.Delete(ctx, owned)
					}
					return nil
				})
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
}

func TestHostKeysOfOnesOwn(t *testing.T) {
	ns := namespace(t, nil)
	l := newListener(ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.HostKeyRefs = []v1alpha1.LocalKeyReference{{Name: "rsa"}, {Name: "ecdsa"}}
	})
	create(t, l)
	readyPod(t, l, "a")
	message := `SFTPKey "rsa" does not exist in namespace "` + ns + `"; create it or correct spec.hostKeyRefs`
	waitFor(t, l, "ResolvedRefs", "False", "HostKeyNotFound", message)
	u := newUser(ns, "acme")
	create(t, u)
	waitFor(t, u, "Ready", "False", "ConfigPending", "The listener's pods have not loaded this user yet: The listener has no host key yet")

	hostKey := func(name string, usage v1alpha1.KeyUsage, algorithm v1alpha1.KeyAlgorithm) *v1alpha1.SFTPKey {
		k := &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: v1alpha1.SFTPKeySpec{Usage: usage, Algorithm: algorithm}}
		create(t, k)
		return k
	}
	hostKey("rsa", v1alpha1.KeyUsageHost, v1alpha1.KeyRSA3072)
	client := hostKey("ecdsa", v1alpha1.KeyUsageClient, v1alpha1.KeyECDSAP256)
	waitFor(t, l, "ResolvedRefs", "False", "InvalidHostKey", `SFTPKey "ecdsa" has usage Client; a host key needs usage Host`)
	remove(t, client)
	remove(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "ecdsa"}})
	hostKey("ecdsa", v1alpha1.KeyUsageHost, v1alpha1.KeyECDSAP256)
	waitFor(t, l, "Ready", "True", "Ready", "")
	waitReady(t, u)
	if len(l.Status.HostKeys) != 2 || l.Status.HostKeys[0].Name != "rsa" || l.Status.HostKeys[1].Algorithm != "ecdsa-sha2-nistp256" {
		t.Errorf("host keys %v, want both, in the order of hostKeyRefs", l.Status.HostKeys)
	}
}

// A generated key is deleted with its SFTPKey only if the SFTPKey's deletionPolicy says so.
func TestDeletionPolicyOfAKey(t *testing.T) {
	ns := namespace(t, nil)
	k := &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "acme"}, Spec: v1alpha1.SFTPKeySpec{Usage: "Client", DeletionPolicy: v1alpha1.Delete}}
	create(t, k)
	waitFor(t, k, "Ready", "True", "Ready", `The key is in Secret "acme"`)
	secret := &corev1.Secret{}
	owned := func(want bool) {
		eventually(t, func() error {
			get(t, secret, ns, "acme")
			if metav1.IsControlledBy(secret, k) != want {
				return fmt.Errorf("owners of the Secret: %v, want the SFTPKey: %v", secret.OwnerReferences, want)
			}
			return nil
		})
	}
	owned(true)
	change(t, k, func(k *v1alpha1.SFTPKey) { k.Spec.DeletionPolicy = v1alpha1.Retain })
	owned(false)
	change(t, k, func(k *v1alpha1.SFTPKey) { k.Spec.DeletionPolicy = v1alpha1.Delete })
	owned(true)
	if !strings.HasPrefix(k.Status.Fingerprint, "SHA256:") || k.Status.Algorithm != "ssh-ed25519" || k.Status.SecretName != "acme" {
		t.Errorf("status %+v", k.Status)
	}
}

func TestSecretOfSomebodyElseIsNoKey(t *testing.T) {
	ns := namespace(t, nil)
	foreign := passwordSecret(ns, "acme", "hunter2")
	create(t, foreign)
	k := &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "acme"}, Spec: v1alpha1.SFTPKeySpec{Usage: "Client"}}
	create(t, k)
	waitFor(t, k, "Ready", "False", "SecretConflict",
		`Secret "acme" exists and was not created for this SFTPKey; set a different spec.secretName, or use it with source: Existing`)
	after := &corev1.Secret{}
	get(t, after, ns, "acme")
	if after.ResourceVersion != foreign.ResourceVersion {
		t.Error("the foreign Secret was written")
	}
}
