package offline

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/receiptkey"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// receiptKey returns the key that signs receipts, nil if the listener issues none: that of the Secret in the manifests, of the
// previous run, or a new one.
func (m *Manifests) receiptKey(l *v1alpha1.SFTPListener, prev Previous) ([]byte, *Finding, error) {
	if l.Spec.Uploads.Receipts == nil {
		return nil, nil, nil
	}
	name := render.ReceiptKeyName(l)
	private := prev.ReceiptKey
	if s := receiptkey.Content(m.Secrets[types.NamespacedName{Namespace: l.Namespace, Name: name}]); s != nil && len(s.Private) > 0 {
		private = s.Private
	}
	if len(private) == 0 {
		made, err := key.Generate(v1alpha1.KeyEd25519, l.Namespace+"/"+l.Name)
		return made.Private, nil, err
	}
	if _, err := receipt.ParseSigner(private); err != nil {
		return nil, &Finding{
			Object: "SFTPListener " + client.ObjectKeyFromObject(l).String(), Reason: v1alpha1.ReasonApplyFailed,
			Message: fmt.Sprintf("No receipts are issued: Secret %q, entry %q: %v", name, receiptkey.PrivateEntry, err),
		}, nil
	}
	return private, nil, nil
}
