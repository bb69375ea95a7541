package key

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
)

const (
	// DefaultOverlap is the overlap of keys that do not set one.
	DefaultOverlap = 14 * 24 * time.Hour
	// maxRetiring bounds the pairs that work in addition to the current one.
	maxRetiring = 4
)

// Revision returns the number of the current generated pair, or of the first one.
func Revision(k *v1alpha1.SFTPKey) int32 { return max(k.Status.Revision, 1) }

// secretOfRevision returns the name of the Secret of a generated pair.
func secretOfRevision(base string, revision int32) string {
	if revision <= 1 {
		return base
	}
	return fmt.Sprintf("%s-r%d", base, revision)
}

func rotates(k *v1alpha1.SFTPKey) bool {
	return k.Spec.Source == v1alpha1.KeyGenerated || k.Spec.Source == ""
}

func isHost(k *v1alpha1.SFTPKey) bool { return k.Spec.Usage == v1alpha1.KeyUsageHost }

// Overlap returns how long a pair works alongside the next one. For a host key, its
// listeners define what that means.
func Overlap(k *v1alpha1.SFTPKey) time.Duration {
	r := k.Spec.Rotation
	switch {
	case r.OverlapSeconds != nil:
		return time.Duration(*r.OverlapSeconds) * time.Second
	case r.PeriodSeconds != nil:
		return min(DefaultOverlap, time.Duration(*r.PeriodSeconds)*time.Second/2)
	}
	return DefaultOverlap
}

// nextRotation returns when a new pair is generated, nil for never. It is in the past if that is due.
func nextRotation(k *v1alpha1.SFTPKey) (at *metav1.Time) {
	if at = periodEnd(k); at == nil || wanted(k) != nil && wanted(k).Before(at) {
		at = cmp.Or(wanted(k), at)
	}
	return at
}

// periodEnd returns when the current pair becomes too old for policy Periodic, nil for never.
func periodEnd(k *v1alpha1.SFTPKey) *metav1.Time {
	r := k.Spec.Rotation
	if !rotates(k) || r.Policy != v1alpha1.RotationPeriodic || r.PeriodSeconds == nil || k.Status.RevisionTime == nil {
		return nil
	}
	return new(metav1.NewTime(k.Status.RevisionTime.Add(time.Duration(*r.PeriodSeconds) * time.Second)))
}

// wanted returns madeAfter in whole seconds if the current pair is older, else nil. The status
// also has whole seconds: with fractions, the pair that was generated for it could be older again.
func wanted(k *v1alpha1.SFTPKey) *metav1.Time {
	after := k.Spec.Rotation.MadeAfter
	if !rotates(k) || after == nil || k.Status.RevisionTime == nil {
		return nil
	}
	if at := metav1.NewTime(after.Truncate(time.Second)); k.Status.RevisionTime.Before(&at) {
		return &at
	}
	return nil
}

// due returns the revision that has to be generated, 0 for none. The first one is not a rotation.
func due(k *v1alpha1.SFTPKey, now time.Time) int32 {
	if !rotates(k) || k.Status.PublicKey == "" {
		return 0
	}
	if at := wanted(k); at != nil && !now.Before(at.Time) {
		return Revision(k) + 1
	}
	if isHost(k) && len(k.Status.Retiring) > 0 {
		return 0 // one rotation after the other: clients have to learn each key
	}
	if at := periodEnd(k); at != nil && !now.Before(at.Time) {
		return Revision(k) + 1
	}
	return 0
}

// madeAt returns when the pair in a Secret was generated, never after now.
func madeAt(s *corev1.Secret, now time.Time) *metav1.Time {
	at, err := time.Parse(time.RFC3339, s.Annotations[v1alpha1.AnnotationMade])
	if err != nil || at.After(now) {
		at = s.CreationTimestamp.Time
	}
	if at.IsZero() || at.After(now) {
		at = now
	}
	return new(metav1.NewTime(at.UTC().Truncate(time.Second)))
}

// retire adds the current pair to the retiring ones, and switches to the next one. The status
// is written later; until then all of this can be repeated. A host key gets no end here: its
// listeners know when they no longer need it.
func retire(k *v1alpha1.SFTPKey, revision int32, m Material, made *metav1.Time, now time.Time) {
	s := &k.Status
	old := v1alpha1.RetiringKey{Revision: Revision(k), PublicKey: s.PublicKey, Fingerprint: s.Fingerprint, SecretName: SecretName(k)}
	if !isHost(k) {
		old.EndTime = new(metav1.NewTime(now.Add(Overlap(k)).Truncate(time.Second)))
	}
	if isHost(k) || Overlap(k) > 0 {
		s.Retiring = append(s.Retiring, old)
	}
	s.Retiring = s.Retiring[max(0, len(s.Retiring)-maxRetiring):]
	s.Revision, s.RevisionTime = revision, made
	s.PublicKey, s.Fingerprint = m.Line(), m.Fingerprint()
}

// rotate generates the pair that is due. If it cannot, the current pair stays, and the
// condition says why. It updates before with what it rereads.
func (r *Reconciler) rotate(ctx context.Context, k, before *v1alpha1.SFTPKey) (blocked *metav1.Condition, err error) {
	now := r.Now()
	if due(k, now) == 0 {
		return nil, nil
	}
	// The cache may lag behind our own status: one rotation must not become two.
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(k), k); err != nil {
		return nil, err
	}
	k.DeepCopyInto(before)
	revision := due(k, now)
	if revision == 0 {
		return nil, nil
	}
	if isHost(k) && len(k.Status.Retiring) >= maxRetiring {
		return new(conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonRotationBlocked,
			fmt.Sprintf("Revision %d is not generated yet: listeners still have keys of %d former revisions; see their status.hostKeys", revision, len(k.Status.Retiring)))), nil
	}
	name := secretOfRevision(baseName(k), revision)
	secret, err := r.secret(ctx, types.NamespacedName{Namespace: k.Namespace, Name: name})
	if err != nil {
		return nil, err
	}
	if secret == nil {
		if secret, err = r.generate(ctx, k, name); err != nil {
			return nil, err
		}
	}
	m, err := Parse(secret.Data, k.Spec.Usage)
	switch {
	case !madeFor(secret, k):
		err = fmt.Errorf("it exists and was not created for this SFTPKey; delete or rename it")
	case err == nil:
		retire(k, revision, m, madeAt(secret, now), now)
		return nil, nil
	}
	return new(conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonRotationBlocked,
		fmt.Sprintf("Revision %d cannot be generated, and revision %d remains in use: Secret %q: %v", revision, Revision(k), name, err))), nil
}

// adoptRetainedRevision finds the revision of a generated key whose SFTPKey is recreated: the
// last one whose Secret was retained. Clients know that host key, and an older pair may have been
// replaced because it was compromised.
func (r *Reconciler) adoptRetainedRevision(ctx context.Context, k *v1alpha1.SFTPKey) error {
	if !rotates(k) || k.Status.PublicKey != "" || k.Status.Revision > 0 {
		return nil
	}
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := r.Live.List(ctx, &list, client.InNamespace(k.Namespace), client.MatchingLabels{v1alpha1.LabelKey: labelOf(k.Name)}); err != nil {
		return fmt.Errorf("list Secrets: %w", err)
	}
	for i := range list.Items {
		if n := revisionOfSecret(baseName(k), list.Items[i].Name); n > k.Status.Revision {
			k.Status.Revision = n
		}
	}
	return nil
}

// revisionOfSecret returns a Secret's revision, 0 for none.
func revisionOfSecret(base, name string) int32 {
	digits, _ := strings.CutPrefix(name, base+"-r")
	n, err := strconv.ParseInt(digits, 10, 32)
	switch {
	case name == base:
		return 1
	case err == nil && secretOfRevision(base, int32(n)) == name:
		return int32(n)
	}
	return 0
}

// dropRetired removes the pairs whose overlap is over, or that no listener uses anymore, and with deletionPolicy Delete also
// their Secrets.
func (r *Reconciler) dropRetired(ctx context.Context, k *v1alpha1.SFTPKey) error {
	works, err := r.stillWorks(ctx, k)
	if err != nil {
		return err
	}
	var left []v1alpha1.RetiringKey
	for _, old := range k.Status.Retiring {
		if works(old) {
			left = append(left, old)
			continue
		}
		if k.Spec.DeletionPolicy != v1alpha1.Delete {
			continue
		}
		secret, err := r.secret(ctx, types.NamespacedName{Namespace: k.Namespace, Name: old.SecretName})
		if err != nil {
			return err
		}
		if secret == nil || !madeFor(secret, k) {
			continue
		}
		if err := r.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete Secret %s: %w", old.SecretName, err)
		}
	}
	if len(left) != len(k.Status.Retiring) {
		k.Status.Retiring = left
	}
	return nil
}

// stillWorks returns a function that reports whether a pair of a former revision still works.
func (r *Reconciler) stillWorks(ctx context.Context, k *v1alpha1.SFTPKey) (func(v1alpha1.RetiringKey) bool, error) {
	if len(k.Status.Retiring) == 0 || !isHost(k) {
		now := r.Now()
		return func(old v1alpha1.RetiringKey) bool { return old.EndTime != nil && now.Before(old.EndTime.Time) }, nil
	}
	var listeners v1alpha1.SFTPListenerList
	if err := r.Client.List(ctx, &listeners, client.InNamespace(k.Namespace)); err != nil {
		return nil, fmt.Errorf("list listeners: %w", err)
	}
	held := map[string]bool{}
	for i := range listeners.Items {
		for _, h := range listeners.Items[i].Status.HostKeys {
			held[h.Fingerprint] = true
		}
	}
	return func(old v1alpha1.RetiringKey) bool { return held[old.Fingerprint] }, nil
}

// ownRetiring lets the Secrets of retiring pairs be deleted with the SFTPKey or outlive it.
func (r *Reconciler) ownRetiring(ctx context.Context, k *v1alpha1.SFTPKey) error {
	for _, old := range k.Status.Retiring {
		secret, err := r.secret(ctx, types.NamespacedName{Namespace: k.Namespace, Name: old.SecretName})
		if err != nil {
			return err
		}
		if secret == nil || !madeFor(secret, k) {
			continue
		}
		if err := r.setOwner(ctx, k, secret); err != nil {
			return err
		}
	}
	return nil
}

// rotationTimes returns when rotation changes something automatically.
func rotationTimes(k *v1alpha1.SFTPKey) []*metav1.Time {
	out := []*metav1.Time{k.Status.NextRotationTime}
	for i := range k.Status.Retiring {
		out = append(out, k.Status.Retiring[i].EndTime)
	}
	return out
}
