package receiptkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

const (
	// SecretType is the type of the Secret.
	SecretType = corev1.SecretType("sftp-operator.io/receipt-key")
	// PrivateEntry has the private key, and KeysEntry the public halves of all keys.
	PrivateEntry = config.ReceiptKeyFile
	KeysEntry    = "keys.json"
)

// ErrForeign is returned if the Secret does not belong to the listener.
var ErrForeign = errors.New("exists and is not the receipt key of this listener; rename or delete it")

// Read reads the Secret of a listener, past the caches: nil if there is none. An error is the API server's, or ErrForeign.
func Read(ctx context.Context, r client.Reader, l *v1alpha1.SFTPListener) (*corev1.Secret, error) {
	s := &corev1.Secret{}
	name := render.ReceiptKeyName(l)
	err := r.Get(ctx, types.NamespacedName{Namespace: l.Namespace, Name: name}, s)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", l.Namespace, name, err)
	}
	if s.Type != SecretType || s.Labels[v1alpha1.LabelReceiptKey] != l.Name {
		return nil, fmt.Errorf("Secret %q in namespace %q %w", name, l.Namespace, ErrForeign) //nolint:staticcheck // the name of a kind
	}
	return s, nil
}

// Content returns what a Secret has, nil for no Secret. A list of keys that cannot be decoded counts as none, and a key that is none
// is left out: anyone who may write Secrets can put one there, and it would go into the status.
func Content(s *corev1.Secret) *Stored {
	if s == nil {
		return nil
	}
	out := &Stored{Private: s.Data[PrivateEntry]}
	if raw := s.Data[KeysEntry]; len(raw) > maxKeysEntry || json.Unmarshal(raw, &out.Keys) != nil {
		out.Keys = nil
	}
	stored := out.Keys
	out.Keys = nil
	for _, k := range stored {
		public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.PublicKey))
		if err != nil || start(k).IsZero() {
			continue
		}
		if _, err := receipt.Public(public); err != nil {
			continue
		}
		k.PublicKey, k.Fingerprint = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))), ssh.FingerprintSHA256(public)
		out.Keys = append(out.Keys, k)
	}
	return out
}

// maxKeysEntry is far more than MaxKeys keys have.
const maxKeysEntry = 64 << 10

// Write stores what was decided, over the Secret that was read, or creates it. It fails with a conflict if the Secret has changed
// since. Like the record of a listener, it is deleted with the listener only if its claims are.
func Write(ctx context.Context, c client.Client, l *v1alpha1.SFTPListener, content *Stored, was *corev1.Secret) (*corev1.Secret, error) {
	keys, err := json.Marshal(content.Keys)
	if err != nil {
		return nil, err
	}
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: render.ReceiptKeyName(l)}, Type: SecretType}
	if was != nil {
		s = was.DeepCopy()
	}
	labels := maps.Clone(s.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[v1alpha1.LabelReceiptKey], labels["app.kubernetes.io/managed-by"] = l.Name, "sftp-operator"
	s.Labels = labels
	s.Data = map[string][]byte{PrivateEntry: content.Private, KeysEntry: keys}
	s.OwnerReferences = slices.DeleteFunc(s.OwnerReferences, func(o metav1.OwnerReference) bool {
		return o.Kind == "SFTPListener" && o.Name == l.Name
	})
	if l.Spec.VolumeClaimRetention == v1alpha1.Delete {
		if err := controllerutil.SetControllerReference(l, s, c.Scheme()); err != nil {
			return nil, err
		}
	}
	if was == nil {
		err = c.Create(ctx, s)
	} else {
		err = c.Patch(ctx, s, client.MergeFromWithOptions(was, client.MergeFromWithOptimisticLock{}))
	}
	if err != nil {
		return nil, fmt.Errorf("write Secret %s/%s: %w", s.Namespace, s.Name, err)
	}
	return s, nil
}
