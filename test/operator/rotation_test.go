package operator

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// keysInPods waits until pods have a number of keys of a user, and returns them.
func keysInPods(t *testing.T, ns, user string, n int) map[string]*time.Time {
	t.Helper()
	out := map[string]*time.Time{}
	eventually(t, func() error {
		clear(out)
		for _, k := range pods.logins(ns)[user].Keys {
			out[k.PublicKey] = k.NotAfter
		}
		if len(out) != n {
			return fmt.Errorf("pods have %d keys of %s, want %d", len(out), user, n)
		}
		return nil
	})
	return out
}

// A new pair is created next to the old one, which works during the overlap and not a second longer, and is then deleted with
// its Secret.
func TestRotationOfAKey(t *testing.T) {
	ns := namespace(t, nil)
	begin := time.Now()
	readyListener(t, ns)
	overlap := int32(pace(begin) / time.Second)
	k := &v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "nightly"},
		Spec: v1alpha1.SFTPKeySpec{
			Usage: v1alpha1.KeyUsageClient, UserRef: &v1alpha1.LocalUserReference{Name: "acme"}, DeletionPolicy: v1alpha1.Delete,
			Rotation: v1alpha1.KeyRotation{OverlapSeconds: &overlap},
		},
	}
	create(t, k)
	acme := newUser(ns, "acme", withoutKeys)
	create(t, acme)
	waitReady(t, acme)
	waitFor(t, k, "Ready", "True", "Ready", `The key is in Secret "nightly"`)
	first := k.Status.PublicKey
	if k.Status.Revision != 1 || k.Status.RevisionTime == nil || k.Status.NextRotationTime != nil {
		t.Errorf("status %+v", k.Status)
	}

	change(t, k, wantNewPair)
	waitFor(t, k, "Ready", "True", "Ready", `The key is in Secret "nightly-r2"`)
	second := k.Status.PublicKey
	if second == first || k.Status.Revision != 2 || len(k.Status.Retiring) != 1 || k.Status.Retiring[0].PublicKey != first {
		t.Fatalf("status %+v", k.Status)
	}
	both := keysInPods(t, ns, "acme", 2)
	end := k.Status.Retiring[0].EndTime.Time
	if both[first] == nil || !both[first].Equal(end) || both[second] != nil {
		t.Errorf("pods have %v: the first must end on its own at %v", both, end)
	}
	secret := &corev1.Secret{}
	for _, name := range []string{"nightly", "nightly-r2"} {
		if get(t, secret, ns, name); !metav1.IsControlledBy(secret, k) {
			t.Errorf("Secret %s has the owners %v", name, secret.OwnerReferences)
		}
	}
	if keysInPods(t, ns, "acme", 1); time.Now().Before(end) {
		t.Error("the first pair was removed before its end")
	}
	eventually(t, func() error {
		err := api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "nightly"}, secret)
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("the Secret of the first pair is still there: %w", err)
		}
		return nil
	})

	// If a foreign Secret has the name of the next revision, nothing is removed.
	foreign := passwordSecret(ns, "nightly-r3", "hunter2")
	create(t, foreign)
	change(t, k, wantNewPair)
	waitFor(t, k, "Ready", "True", "RotationBlocked",
		`Revision 3 cannot be generated, and revision 2 remains in use: Secret "nightly-r3": it exists and was not created for this SFTPKey; delete or rename it`)
	if keys := keysInPods(t, ns, "acme", 1); len(keys) != 1 || k.Status.PublicKey != second {
		t.Errorf("pods have %v", keys)
	}

	after := &corev1.Secret{}
	get(t, after, ns, foreign.Name)
	if after.ResourceVersion != foreign.ResourceVersion {
		t.Error("the foreign Secret was written")
	}

	// Keys created by an operator that was killed are adopted.
	made := &corev1.Secret{}
	get(t, made, ns, "nightly-r2")
	left := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "nightly-r3", Labels: map[string]string{v1alpha1.LabelKey: "nightly"}},
		Type:       made.Type, Data: made.Data,
	}
	restartOperator(t, func() {
		remove(t, foreign)
		create(t, left)
	})
	waitFor(t, k, "Ready", "True", "Ready", `The key is in Secret "nightly-r3"`)
	waitReady(t, acme)
}

// With deletionPolicy Delete, the Secret of a retiring pair is deleted when its overlap ends. One that was created in its place
// in the meantime is not the operator's, and stays.
func TestForeignSecretInPlaceOfARetiredPair(t *testing.T) {
	ns := namespace(t, nil)
	k := &v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "nightly"},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, DeletionPolicy: v1alpha1.Delete},
	}
	begin := time.Now()
	create(t, k)
	waitFor(t, k, "Ready", "True", "Ready", `The key is in Secret "nightly"`)
	overlap := int32(pace(begin) / time.Second)
	change(t, k, func(k *v1alpha1.SFTPKey) { wantNewPair(k); k.Spec.Rotation.OverlapSeconds = &overlap })
	waitFor(t, k, "Ready", "True", "Ready", `The key is in Secret "nightly-r2"`)

	first := &corev1.Secret{}
	get(t, first, ns, "nightly")
	if err := api.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	foreign := passwordSecret(ns, "nightly", "hunter2")
	create(t, foreign)
	eventually(t, func() error {
		if get(t, k, ns, k.Name); len(k.Status.Retiring) > 0 {
			return fmt.Errorf("%d pairs retire", len(k.Status.Retiring))
		}
		return nil
	})
	after := &corev1.Secret{}
	if get(t, after, ns, "nightly"); after.UID != foreign.UID || after.ResourceVersion != foreign.ResourceVersion {
		t.Error("the foreign Secret was written or recreated")
	}
}

// wantNewPair requests a pair that is at least a second newer than the current one.
func wantNewPair(k *v1alpha1.SFTPKey) {
	at := metav1.Now()
	if used := k.Status.RevisionTime; used != nil && !used.Add(time.Second).Before(at.Time) {
		at = metav1.NewTime(used.Add(time.Second))
	}
	k.Spec.Rotation.MadeAfter = &at
}
