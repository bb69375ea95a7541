package receiptkey

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/keptsecret"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

const (
	// SecretType is the type of the Secret.
	SecretType = corev1.SecretType("sftp-operator.io/receipt-key")
	// PrivateEntry contains the private key, and KeysEntry the public halves of all keys.
	PrivateEntry = config.ReceiptKeyFile
	KeysEntry    = "keys.json"
)

// ErrForeign is returned if the Secret does not belong to the listener.
var ErrForeign = errors.New("exists and is not the receipt key of this listener; rename or delete it")

var kind = keptsecret.Kind{Type: SecretType, Label: v1alpha1.LabelReceiptKey, Foreign: ErrForeign}

// Read returns the Secret of a listener, bypassing the caches, or nil if there is none. An error is the API server's, or
// ErrForeign.
func Read(ctx context.Context, r client.Reader, l *v1alpha1.SFTPListener) (*corev1.Secret, error) {
	return kind.Read(ctx, r, l.Namespace, render.ReceiptKeyName(l), l.Name)
}

// Content returns the content of a Secret, or nil for no Secret. A list of keys that cannot be decoded counts as empty, and
// an entry that is not a key is left out: anyone who may write Secrets can put one there, and it would end up in the status.
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

// maxKeysEntry is far more than MaxKeys keys need.
const maxKeysEntry = 64 << 10

// Write stores what was decided in the Secret that Read returned, or creates one. It fails with a conflict if the Secret has
// changed since.
func Write(ctx context.Context, c client.Client, l *v1alpha1.SFTPListener, content *Stored, was *corev1.Secret) (*corev1.Secret, error) {
	keys, err := json.Marshal(content.Keys)
	if err != nil {
		return nil, err
	}
	return kind.Write(ctx, c, l, render.ReceiptKeyName(l), map[string][]byte{PrivateEntry: content.Private, KeysEntry: keys}, was)
}
