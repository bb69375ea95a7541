package key

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/record"
)

// recorded is what a listener's record contains about a host key.
type recorded struct {
	fingerprint, listener string
	// pending means that the listener does not exist yet, or does not use its keys again yet: then clients expect this key.
	pending bool
}

// restored corrects a verdict on a host key that a listener had before it was recreated, for example by a restore. Objects of a
// backup are restored in any order, and the listener's record has the fingerprint that clients know: no other pair is generated
// while its Secret has not been restored yet, and one that was generated before the record was restored is replaced by it.
func (r *Reconciler) restored(ctx context.Context, k *v1alpha1.SFTPKey, secret *corev1.Secret, v Verdict) (Verdict, error) {
	differs := secret != nil && v.Condition.Reason == v1alpha1.ReasonInvalidKey && k.Status.PublicKey != ""
	if !isHost(k) || !rotates(k) || !v.Generate && !differs {
		return v, nil
	}
	had, err := r.recorded(ctx, k)
	if err != nil || had.fingerprint == "" {
		return v, err
	}
	if v.Generate {
		if !had.pending {
			return v, nil
		}
		return bad(v1alpha1.ReasonSecretNotFound, "Secret %q does not exist, but SFTPListener %q had the key %s in it, which clients know; restore it from a backup, "+
			"or delete Secret %q to have a new key generated", SecretName(k), had.listener, had.fingerprint, record.SecretName(had.listener)), nil
	}
	m, err := Parse(secret.Data, k.Spec.Usage)
	if err != nil || m.Fingerprint() != had.fingerprint || !madeFor(secret, k) {
		return v, nil //nolint:nilerr // the verdict already says so
	}
	r.Events.Eventf(k, secret, corev1.EventTypeNormal, "KeyRestored", "Restore",
		"Secret %q has the key %s again, which SFTPListener %q had before; %s, which was generated in the meantime, is no longer used",
		secret.Name, had.fingerprint, had.listener, k.Status.Fingerprint)
	k.Status.PublicKey, k.Status.Fingerprint, k.Status.RevisionTime = "", "", nil
	return Decide(k, secret), nil
}

// recorded finds what the records of the namespace's listeners contain about a key in its current revision.
func (r *Reconciler) recorded(ctx context.Context, k *v1alpha1.SFTPKey) (recorded, error) {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := r.Client.List(ctx, &list, client.InNamespace(k.Namespace), client.HasLabels{v1alpha1.LabelRecord}); err != nil {
		return recorded{}, fmt.Errorf("list records: %w", err)
	}
	var found recorded
	for i := range list.Items {
		name := list.Items[i].Labels[v1alpha1.LabelRecord]
		rec, _, err := record.Read(ctx, r.Live, k.Namespace, name)
		if errors.Is(err, record.ErrForeign) {
			continue
		}
		if err != nil {
			return recorded{}, err
		}
		fingerprint := rec.KeyOf(k.Name, Revision(k))
		if fingerprint == "" {
			continue
		}
		l := &v1alpha1.SFTPListener{}
		if err := r.Client.Get(ctx, types.NamespacedName{Namespace: k.Namespace, Name: name}, l); err != nil && !apierrors.IsNotFound(err) {
			return recorded{}, fmt.Errorf("read listener %s: %w", name, err)
		}
		is := recorded{fingerprint: fingerprint, listener: name, pending: rec.KeysPending || rec.UID != l.UID}
		if found.fingerprint == "" || is.pending {
			found = is
		}
	}
	return found, nil
}

// hostKeysOf returns the SFTPKeys of a namespace that a record may affect.
func (r *Reconciler) hostKeysOf(ctx context.Context, namespace string) ([]types.NamespacedName, error) {
	var keys v1alpha1.SFTPKeyList
	if err := r.Client.List(ctx, &keys, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	var out []types.NamespacedName
	for i := range keys.Items {
		if isHost(&keys.Items[i]) {
			out = append(out, client.ObjectKeyFromObject(&keys.Items[i]))
		}
	}
	return out, nil
}
