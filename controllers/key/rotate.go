package key

import (
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
	// DefaultOverlap is that of keys that say nothing else.
	DefaultOverlap = 14 * 24 * time.Hour
	// maxRetiring bounds the pairs that work beside the one in use.
	maxRetiring = 4
)

// Revision is the number of the generated pair in use, or of the first one.
func Revision(k *v1alpha1.SFTPKey) int32 {
	switch {
	case k.Status.Revision > 0:
		return k.Status.Revision
	case k.Status.PublicKey != "":
		return 1 // made by an operator that knew no revisions
	}
	return max(k.Spec.Revision, 1)
}

// secretOfRevision is the name of the Secret of a generated pair.
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

// Overlap is how long a pair works beside the next one. What that means for a host key, its
// listeners say.
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

// nextRotation is when a new pair is made by itself, nil for never.
func nextRotation(k *v1alpha1.SFTPKey) *metav1.Time {
	r := k.Spec.Rotation
	if !rotates(k) || r.Policy != v1alpha1.RotationPeriodic || r.PeriodSeconds == nil || k.Status.RevisionTime == nil {
		return nil
	}
	return new(metav1.NewTime(k.Status.RevisionTime.Add(time.Duration(*r.PeriodSeconds) * time.Second)))
}

// due is the revision that has to be made, 0 for none. The first one is not a rotation.
func due(k *v1alpha1.SFTPKey, now time.Time) int32 {
	if !rotates(k) || k.Status.PublicKey == "" {
		return 0
	}
	if k.Spec.Revision > Revision(k) {
		return k.Spec.Revision
	}
	if isHost(k) && len(k.Status.Retiring) > 0 {
		return 0 // one rotation after the other: clients have to learn each key
	}
	if at := nextRotation(k); at != nil && !now.Before(at.Time) {
		return Revision(k) + 1
	}
	return 0
}

// retire puts the pair in use beside those that retire, and takes up the next one. Its status
// is written later; until then all of it can be done again. A host key has no end here: the
// listeners that have it know when they are done with it.
func retire(k *v1alpha1.SFTPKey, revision int32, m Material, now time.Time) {
	s := &k.Status
	old := v1alpha1.RetiringKey{Revision: Revision(k), PublicKey: s.PublicKey, Fingerprint: s.Fingerprint, SecretName: SecretName(k)}
	if !isHost(k) {
		old.EndTime = new(metav1.NewTime(now.Add(Overlap(k)).Truncate(time.Second)))
	}
	if isHost(k) || Overlap(k) > 0 {
		s.Retiring = append(s.Retiring, old)
	}
	s.Retiring = s.Retiring[max(0, len(s.Retiring)-maxRetiring):]
	s.Revision, s.RevisionTime = revision, new(metav1.NewTime(now.Truncate(time.Second)))
	s.PublicKey, s.Fingerprint = m.Line(), m.Fingerprint()
}

// rotate makes the pair that is due. If it cannot, the pair in use stays, and the condition
// says why. It puts into before what it reads anew.
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
			fmt.Sprintf("Revision %d is not made yet: listeners still have keys of %d former revisions, see their status.hostKeys", revision, len(k.Status.Retiring)))), nil
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
		err = fmt.Errorf("it exists and was not made for this SFTPKey; delete or rename it, or raise spec.revision further")
	case err == nil:
		retire(k, revision, m, now)
		return nil, nil
	}
	return new(conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonRotationBlocked,
		fmt.Sprintf("Revision %d cannot be made, and revision %d goes on to work: Secret %q: %v", revision, Revision(k), name, err))), nil
}

// takeUp finds the revision of a host key whose SFTPKey is made again: the last one whose
// Secret was retained is what clients know.
func (r *Reconciler) takeUp(ctx context.Context, k *v1alpha1.SFTPKey) error {
	if !rotates(k) || !isHost(k) || k.Status.PublicKey != "" || k.Status.Revision > 0 {
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

// revisionOfSecret is the revision that a Secret is of, 0 for none.
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

// dropRetired ends the pairs whose overlap is over, or that no listener has any more, and with
// deletionPolicy Delete their Secrets.
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

// stillWorks returns what says whether a pair of a former revision works now.
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

// ownRetiring makes the Secrets of retiring pairs go with the SFTPKey or outlive it.
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

// rotationTimes are when rotation changes something by itself.
func rotationTimes(k *v1alpha1.SFTPKey) []*metav1.Time {
	out := []*metav1.Time{k.Status.NextRotationTime}
	for i := range k.Status.Retiring {
		out = append(out, k.Status.Retiring[i].EndTime)
	}
	return out
}
