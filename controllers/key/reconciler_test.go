package key

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/deadline"
)

// A pair is made once, its status identifies it, and from then on nothing is written.
func TestFirstPair(t *testing.T) {
	for _, policy := range []v1alpha1.RetentionPolicy{v1alpha1.Retain, v1alpha1.Delete} {
		r := newRig(t, named(func(k *v1alpha1.SFTPKey) { k.Spec.DeletionPolicy = policy }))
		r.now = began.Add(300 * time.Millisecond)
		k, after := r.settle(named())
		s := r.secretNamed(k, "acme")
		if s == nil {
			t.Fatal("there is no Secret")
		}
		m, err := Parse(s.Data, k.Spec.Usage)
		if err != nil {
			t.Fatal(err)
		}
		st := k.Status
		if st.Algorithm != "ssh-ed25519" || st.Bits != 256 || st.Fingerprint != m.Fingerprint() || st.PublicKey != m.Line() || st.SecretName != "acme" ||
			st.Revision != 1 || !st.RevisionTime.Time.Equal(began) || st.NextRotationTime != nil || st.ObservedGeneration != 5 || len(st.Retiring) != 0 {
			t.Errorf("status %+v", st)
		}
		if got := ready(k); got != `True Ready: The key is in Secret "acme"` || summary(k).ObservedGeneration != 5 || after != 0 {
			t.Errorf("%s, again after %s", got, after)
		}
		if owned := metav1.IsControlledBy(s, k); owned != (policy == v1alpha1.Delete) {
			t.Errorf("deletionPolicy %s: is deleted with the SFTPKey: %v", policy, owned)
		}
		want := `Normal KeyGenerated Generated ssh-ed25519 ` + m.Fingerprint() + ` into Secret "acme"`
		if got := r.told(); !slices.Equal(got, []string{want}) {
			t.Errorf("events %q", got)
		}
		r.now = began.Add(time.Hour)
		if _, _ = r.settle(k); len(r.writes()) > 0 || r.told() != nil || slices.Contains(r.calls, "live get SFTPKey acme") {
			t.Errorf("nothing has changed, and the calls are %v", r.calls)
		}
	}
}

// The Secret is deleted with the SFTPKey if the current deletionPolicy says so; one that the owner created is left alone.
func TestOwnership(t *testing.T) {
	r := newRig(t, named())
	k, _ := r.settle(named())
	for _, policy := range []v1alpha1.RetentionPolicy{v1alpha1.Delete, v1alpha1.Retain, v1alpha1.Delete} {
		k.Spec.DeletionPolicy = policy
		r.update(k, false)
		k, _ = r.settle(k)
		if owned := metav1.IsControlledBy(r.secretNamed(k, "acme"), k); owned != (policy == v1alpha1.Delete) {
			t.Errorf("deletionPolicy %s: is deleted with the SFTPKey: %v", policy, owned)
		}
	}
	m := pair(t)
	theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "theirs"}, Data: map[string][]byte{PrivateEntry: m.Private}}
	r = newRig(t, theirs, named(existing, deleting, func(k *v1alpha1.SFTPKey) { k.Spec.SecretName = "theirs" }))
	if k, _ = r.settle(named()); len(r.secretNamed(k, "theirs").OwnerReferences) > 0 || k.Status.Fingerprint != m.Fingerprint() || k.Status.Revision != 0 || k.Status.RevisionTime != nil {
		t.Errorf("status %+v", k.Status)
	}
	// A Secret that is in the way is reported, and not overwritten.
	foreign := NewSecret(named(), "acme", m, began)
	foreign.Labels = nil
	r = newRig(t, foreign, named(deleting))
	if k, _ = r.settle(named()); summary(k).Reason != "SecretConflict" || len(r.secretNamed(k, "acme").OwnerReferences) > 0 {
		t.Errorf("%s, %+v", ready(k), r.secretNamed(k, "acme").OwnerReferences)
	}
	// A Secret that belongs to another object keeps its owner.
	other := named(func(k *v1alpha1.SFTPKey) { k.UID = "other" })
	s := NewSecret(other, "acme", m, began)
	s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "p", Controller: new(true)}}
	r = newRig(t, s, named(deleting))
	if _, err := r.reconciled(named()); err == nil || len(r.key(named()).Status.Conditions) > 0 {
		t.Errorf("owned by another: %v", err)
	}
}

// A problem becomes a condition, and an event when it begins, but the known properties of the key are kept.
func TestSecretIsMissing(t *testing.T) {
	m := pair(t)
	r := newRig(t, named(existing))
	k, after := r.settle(named())
	const want = `False SecretNotFound: Secret "acme" does not exist in namespace "team"; create it or correct spec.secretName`
	if ready(k) != want || k.Status.Fingerprint != "" || after != conditions.ReferenceDeadline || assignedAs(k) != "" {
		t.Errorf("%s, %s, %+v", ready(k), assignedAs(k), k.Status)
	}
	if got := r.told(); len(got) != 1 || got[0] != "Warning SecretNotFound "+strings.SplitN(want, ": ", 2)[1] {
		t.Errorf("events %q", got)
	}
	k.Spec.DeletionPolicy = v1alpha1.Retain
	k.Generation = 6
	r.update(k, false)
	if k, _ = r.settle(k); r.told() != nil || k.Status.ObservedGeneration != k.Generation {
		t.Errorf("the same problem is reported again, or not recorded: %+v", k.Status)
	}
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "acme"}, Data: map[string][]byte{PrivateEntry: m.Private}}
	if err := r.all.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if k, _ = r.settle(k); ready(k) != `True Ready: The key is in Secret "acme"` || k.Status.Fingerprint != m.Fingerprint() || r.told() != nil {
		t.Errorf("%s, %+v", ready(k), k.Status)
	}
	if err := r.all.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if k, _ = r.settle(k); k.Status.Fingerprint != m.Fingerprint() || summary(k).Reason != "SecretNotFound" || len(r.told()) != 1 {
		t.Errorf("%s, %+v", ready(k), k.Status)
	}
}

// A key in the spec needs no Secret, and has no revisions.
func TestPublicKeyOfTheSpec(t *testing.T) {
	m := pair(t)
	r := newRig(t, named(func(k *v1alpha1.SFTPKey) { k.Spec.Source, k.Spec.PublicKey = v1alpha1.KeyPublicKey, m.Line() }))
	k, _ := r.settle(named())
	if ready(k) != "True Ready: The key is in spec.publicKey" || k.Status.Fingerprint != m.Fingerprint() || k.Status.SecretName != "" || k.Status.Revision != 0 {
		t.Errorf("%s, %+v", ready(k), k.Status)
	}
	if slices.ContainsFunc(r.calls, func(c string) bool { return strings.Contains(c, "Secret") }) {
		t.Errorf("Secrets were read: %v", r.calls)
	}
}

// Each call fails once: the error is returned or reported, nothing else is written, and the next reconcile succeeds.
func TestEachCallFails(t *testing.T) {
	m := pair(t)
	due := named(daily, deleting, func(k *v1alpha1.SFTPKey) {
		k.Spec.UserRef = &v1alpha1.LocalUserReference{Name: "acme"}
		k.Status = v1alpha1.SFTPKeyStatus{
			PublicKey: m.Line(), Fingerprint: m.Fingerprint(), Revision: 2, RevisionTime: new(metav1.NewTime(began.Add(-25 * time.Hour))),
			Retiring: []v1alpha1.RetiringKey{{Revision: 1, SecretName: "acme", EndTime: new(metav1.NewTime(began))}},
		}
	})
	host := named(ofHost, deleting, func(k *v1alpha1.SFTPKey) { k.Spec.SecretName = "host" })
	for name, key := range map[string]*v1alpha1.SFTPKey{"a rotation": due, "the first pair of a host": host} {
		begin := func() *rig {
			return newRig(t, key.DeepCopy(), NewSecret(due, "acme", pair(t), began), NewSecret(due, "acme-r2", m, began))
		}
		whole := begin()
		if _, err := whole.reconciled(key); err != nil {
			t.Fatal(err)
		}
		calls := whole.calls
		if len(calls) < 7 {
			t.Fatalf("%s: only %v", name, calls)
		}
		for n, call := range calls {
			r := begin()
			left := n
			r.fail = func(string) error {
				if left--; left == -1 {
					return errDown
				}
				return nil
			}
			before := r.key(key).Status
			_, err := r.reconciled(key)
			if !errors.Is(err, errDown) {
				t.Errorf("%s: %s fails, and the result is %v", name, call, err)
			}
			if got := r.told(); call == "get SFTPKey acme" {
				if got != nil {
					t.Errorf("%s: the reported object is unknown: %q", name, got)
				}
			} else if len(got) == 0 || got[len(got)-1] != "Warning ApplyFailed The API server refused or failed: Internal error occurred: etcd is down. The operator retries" {
				t.Errorf("%s: %s fails, and the events are %q", name, call, got)
			}
			if st := r.key(key).Status; !meta.IsStatusConditionTrue(st.Conditions, "Ready") && st.Revision != before.Revision {
				t.Errorf("%s: %s fails, and the status is %+v", name, call, st)
			}
			r.fail = nil
			k, _ := r.settle(key)
			// Pairs that were stored are adopted, so that none is made twice.
			if k.Status.Fingerprint == "" || summary(k) == nil || !conditionTrue(*summary(k)) && k.Spec.UserRef == nil {
				t.Errorf("%s: %s failed, and afterwards %s, %+v", name, call, ready(k), k.Status)
			}
			if key == due && (k.Status.Revision != 3 || len(k.Status.Retiring) != 1 || r.secretNamed(k, "acme") != nil || r.secretNamed(k, "acme-r4") != nil) {
				t.Errorf("%s: %s failed, and afterwards %+v", name, call, k.Status)
			}
		}
	}
}

// It is not an error if the object has been deleted in the meantime.
func TestGoneMeanwhile(t *testing.T) {
	gone := apierrors.NewNotFound(secretsResource, "x")
	m := pair(t)
	due := named(wanting(0), func(k *v1alpha1.SFTPKey) {
		k.Status = v1alpha1.SFTPKeyStatus{PublicKey: m.Line(), Fingerprint: m.Fingerprint(), Revision: 1, RevisionTime: new(metav1.NewTime(began.Add(-time.Hour)))}
	})
	for _, call := range []string{"get SFTPKey acme", "live get SFTPKey acme", "patch status SFTPKey acme", "live get SFTPKey acme"} {
		key := named()
		if call == "live get SFTPKey acme" {
			key, due = due, key
		}
		r := newRig(t, key.DeepCopy())
		r.fail = func(c string) error {
			if c == call {
				return gone
			}
			return nil
		}
		if after, err := r.reconciled(named()); err != nil || after != 0 || len(r.told()) > 1 {
			t.Errorf("%s: %v", call, err)
		}
		if !slices.Contains(r.calls, call) {
			t.Errorf("%s is not called: %v", call, r.calls)
		}
	}
	going := named(func(k *v1alpha1.SFTPKey) {
		k.DeletionTimestamp, k.Finalizers = new(metav1.NewTime(began)), []string{"example.com/wait"}
	})
	r := newRig(t, going)
	if _, err := r.reconciled(going); err != nil || len(r.calls) != 1 {
		t.Errorf("being deleted: %v, %v", err, r.calls)
	}
}

// A refusal by the API server becomes a condition and is retried later; a terminating namespace is neither reported nor
// retried.
func TestRefusedSecret(t *testing.T) {
	refused := apierrors.NewForbidden(secretsResource, "acme", errors.New("exceeded quota: secrets"))
	ending := apierrors.NewForbidden(secretsResource, "acme", errors.New("it is being terminated"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for _, err := range []error{refused, ending} {
		r := newRig(t, named())
		r.fail = func(c string) error {
			if strings.HasPrefix(c, "create") {
				return err
			}
			return nil
		}
		k, after := r.settle(named())
		events := r.told()
		if errors.Is(err, ending) {
			if len(r.writes()) != 1 || after != 0 || events != nil {
				t.Errorf("the namespace ends: %v, %q, again after %s", r.writes(), events, after)
			}
			continue
		}
		if got := ready(k); !strings.HasPrefix(got, "False ApplyFailed: The API server refused: ") || !strings.Contains(got, "raise the ResourceQuota") || after != apply.RetryRefused {
			t.Errorf("%s, again after %s", got, after)
		}
		if len(events) != 1 || !strings.HasPrefix(events[0], "Warning ApplyFailed The API server refused") {
			t.Errorf("events %q", events)
		}
	}
}

// A conflict is retried without a report, and a defect of the operator is reported without any content.
func TestErrorsThatAreTold(t *testing.T) {
	for name, tc := range map[string]struct {
		fail  func() error
		want  error
		event string
	}{
		"a conflict": {func() error { return apierrors.NewConflict(secretsResource, "acme", errors.New("changed")) }, nil, ""},
		"a panic":    {func() error { panic("secret content") }, errPanic, "Warning InternalError internal error of the operator; its log has the details"},
		"other":      {func() error { return errors.New("no route to 10.0.0.1") }, nil, ""},
		"no answer":  {func() error { return &deadline.Error{After: 5 * time.Second} }, nil, "Warning ApplyFailed the API server did not answer within 5s. The operator retries"},
		"a long one": {func() error { return apierrors.NewInternalError(errors.New(strings.Repeat("x", 2000))) }, nil, "Warning ApplyFailed The API server refused or failed: Internal error occurred: " + strings.Repeat("x", 512-25) + ". The operator retries"},
	} {
		r := newRig(t, named())
		r.fail = func(c string) error {
			if strings.HasPrefix(c, "create") {
				return tc.fail()
			}
			return nil
		}
		_, err := r.reconciled(named())
		if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(r.told(), "\n"); got != tc.event {
			t.Errorf("%s: events\n%q, want\n%q", name, got, tc.event)
		}
	}
}
