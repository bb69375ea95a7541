package key

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// maxUsers bounds status.users.
const maxUsers = 64

// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftpusers,verbs=get;list;watch

// Indexes of SFTPKeys by the user of their userRef and by their fingerprint, and of
// SFTPUsers by the beginning of the fingerprints in their status.
const (
	userIndex        = "key.user"
	fingerprintIndex = "key.fingerprint"
	holderIndex      = "user.fingerprints"
)

// beginning returns the index key for users: most fingerprints belong to one user, and separate
// index entries took 1.1 KiB for a user with two keys. The first base64 character divides a
// namespace's users into 64 parts.
func beginning(fingerprint string) string {
	return fingerprint[:min(len("SHA256:")+1, len(fingerprint))]
}

func index(ctx context.Context, ix client.FieldIndexer) error {
	keys := func(field string, value func(*v1alpha1.SFTPKey) string) error {
		return ix.IndexField(ctx, &v1alpha1.SFTPKey{}, field, func(o client.Object) []string {
			if k, ok := o.(*v1alpha1.SFTPKey); ok && k.Spec.Usage == v1alpha1.KeyUsageClient && value(k) != "" {
				return []string{value(k)}
			}
			return nil
		})
	}
	return errors.Join(
		ix.IndexField(ctx, &v1alpha1.SFTPKey{}, SecretIndex, func(o client.Object) []string {
			k, ok := o.(*v1alpha1.SFTPKey)
			if !ok {
				return nil
			}
			return secretNames(k)
		}),
		keys(fingerprintIndex, func(k *v1alpha1.SFTPKey) string { return k.Status.Fingerprint }),
		keys(userIndex, func(k *v1alpha1.SFTPKey) string {
			if k.Spec.UserRef == nil {
				return ""
			}
			return k.Spec.UserRef.Name
		}),
		ix.IndexField(ctx, &v1alpha1.SFTPUser{}, holderIndex, func(o client.Object) []string {
			u, ok := o.(*v1alpha1.SFTPUser)
			if !ok {
				return nil
			}
			out := make([]string, 0, len(u.Status.Keys))
			for i := range u.Status.Keys {
				out = append(out, beginning(u.Status.Keys[i].Fingerprint))
			}
			slices.Sort(out)
			return slices.Compact(out)
		}))
}

// holdings gathers what the users and the other SFTPKeys of the namespace say about a key.
func (r *Reconciler) holdings(ctx context.Context, k *v1alpha1.SFTPKey, fingerprint string) (*Holdings, error) {
	h := &Holdings{Now: r.Now()}
	if k.Spec.UserRef != nil {
		err := r.Client.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: k.Spec.UserRef.Name}, &v1alpha1.SFTPUser{})
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("read user: %w", err)
		}
		h.UserExists = err == nil
	}
	var users v1alpha1.SFTPUserList
	// They are only read, and there may be many.
	err := r.Client.List(ctx, &users, client.InNamespace(k.Namespace), client.MatchingFields{holderIndex: beginning(fingerprint)},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	for i := range users.Items {
		for j := range users.Items[i].Status.Keys {
			s := &users.Items[i].Status.Keys[j]
			if s.Fingerprint == fingerprint && users.Items[i].DeletionTimestamp.IsZero() {
				h.Holders = append(h.Holders, Holder{User: users.Items[i].Name, UserKeyStatus: *s.DeepCopy()})
			}
		}
	}
	slices.SortFunc(h.Holders, func(a, b Holder) int { return strings.Compare(a.User, b.User) })
	var keys v1alpha1.SFTPKeyList
	if err := r.Client.List(ctx, &keys, client.InNamespace(k.Namespace), client.MatchingFields{fingerprintIndex: fingerprint}); err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	h.Owner = NewKeyring(keys.Items).Owner(fingerprint)
	return h, nil
}

// keysDiffer reports whether two versions of a user differ in what SFTPKeys show.
func keysDiffer(before, after client.Object) bool {
	a, ok1 := before.(*v1alpha1.SFTPUser)
	b, ok2 := after.(*v1alpha1.SFTPUser)
	return ok1 && ok2 && !equality.Semantic.DeepEqual(a.Status.Keys, b.Status.Keys)
}

// keysOfUser returns the client keys that a user has or that name it.
func (r *Reconciler) keysOfUser(ctx context.Context, o client.Object) []reconcile.Request {
	u, ok := o.(*v1alpha1.SFTPUser)
	if !ok {
		return nil
	}
	out := r.keysWhere(ctx, o.GetNamespace(), userIndex, u.Name)
	for i := range u.Status.Keys {
		out = append(out, r.keysWhere(ctx, o.GetNamespace(), fingerprintIndex, u.Status.Keys[i].Fingerprint)...)
	}
	return out
}

// duplicatesOf returns the SFTPKeys with the same key.
func (r *Reconciler) duplicatesOf(ctx context.Context, o client.Object) []reconcile.Request {
	k, ok := o.(*v1alpha1.SFTPKey)
	if !ok || k.Spec.Usage != v1alpha1.KeyUsageClient || k.Status.Fingerprint == "" {
		return nil
	}
	return r.keysWhere(ctx, o.GetNamespace(), fingerprintIndex, k.Status.Fingerprint)
}

func (r *Reconciler) keysWhere(ctx context.Context, namespace, index, value string) []reconcile.Request {
	var keys v1alpha1.SFTPKeyList
	if err := r.Client.List(ctx, &keys, client.InNamespace(namespace), client.MatchingFields{index: value}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list keys", "namespace", namespace, "index", index)
		return nil
	}
	out := make([]reconcile.Request, 0, len(keys.Items))
	for i := range keys.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&keys.Items[i])})
	}
	return out
}
