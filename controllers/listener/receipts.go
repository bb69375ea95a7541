package listener

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/keptsecret"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/receiptkey"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// keepReceiptKey keeps the key that signs the receipts of a listener, and passes it to the access controller. A key that cannot be
// used changes nothing for the pods: they keep the one that they have.
func (r *Reconciler) keepReceiptKey(ctx context.Context, f *findings) error {
	l := f.listener
	in := receiptkey.Input{
		Wanted: l.Spec.Uploads.Receipts != nil, Now: f.now,
		Generate: func() ([]byte, error) {
			m, err := key.Generate(v1alpha1.KeyEd25519, l.Namespace+"/"+l.Name)
			return m.Private, err
		},
	}
	if l.Status.Receipts != nil {
		in.Reported = l.Status.Receipts.Keys
	}
	if !in.Wanted && len(in.Reported) == 0 {
		return nil // it never had receipts
	}
	secret, err := r.receiptSecret(ctx, l, f.memory)
	if errors.Is(err, receiptkey.ErrForeign) {
		f.refuseReceiptKey(v1alpha1.ReasonResourceConflict, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	in.Stored = receiptkey.Content(secret)
	if secret != nil && !keptsecret.Owned(l, secret) { // volumeClaimRetention was changed
		if secret, err = receiptkey.Write(ctx, r.Client, l, in.Stored, secret); err != nil {
			return r.refusedReceiptKey(f, err)
		}
		f.memory.receiptKey = secret
	}
	plan, err := receiptkey.Decide(in)
	if err != nil {
		return err
	}
	f.receiptKeys = plan.Keys
	if plan.Problem != "" {
		f.refuseReceiptKey(v1alpha1.ReasonApplyFailed, fmt.Sprintf(
			"Secret %q, entry %q: %s; restore the key, or delete the Secret to have a new key generated. The pods keep the key that they have",
			render.ReceiptKeyName(l), receiptkey.PrivateEntry, plan.Problem))
		return nil
	}
	if plan.Write != nil {
		if f.memory.receiptKey, err = receiptkey.Write(ctx, r.Client, l, plan.Write, secret); err != nil {
			f.receiptKeys = nil // it may not be stored
			return r.refusedReceiptKey(f, err)
		}
	}
	r.passReceiptKey(l, plan.Private)
	return nil
}

// refusedReceiptKey reports an error that the API server repeats until someone changes something. It returns other errors.
func (r *Reconciler) refusedReceiptKey(f *findings, err error) error {
	message, refused := apply.Refusal(err)
	if !refused || apply.NamespaceEnding(err) {
		return err
	}
	f.refuseReceiptKey(v1alpha1.ReasonApplyFailed, message)
	f.next.In(f.now, apply.RetryRefused)
	return nil
}

// refuseReceiptKey keeps a refusal until the other objects have been applied.
func (f *findings) refuseReceiptKey(reason, message string) {
	f.receiptRefusal = &workload.Refusal{Object: fmt.Sprintf("Secret %q", render.ReceiptKeyName(f.listener)), Reason: reason, Message: message}
}

func (r *Reconciler) passReceiptKey(l *v1alpha1.SFTPListener, private []byte) {
	cell := &r.Store.Of(client.ObjectKeyFromObject(l), l.UID).ReceiptKey
	if old := cell.Load(); old != nil && bytes.Equal(old.Private, private) {
		return
	}
	cell.Store(&exchange.ReceiptKey{Private: private})
	r.Access.Wake(client.ObjectKeyFromObject(l))
}

// receiptSecret returns the Secret with the key, nil for none. If it has not changed since the last time, this costs no API call,
// because the cached metadata has its version. Its absence is never taken from a cache, because a new key would then be
// generated.
func (r *Reconciler) receiptSecret(ctx context.Context, l *v1alpha1.SFTPListener, m *memory) (*corev1.Secret, error) {
	if r.isCurrent(ctx, l.Namespace, render.ReceiptKeyName(l), m.receiptKey) {
		return m.receiptKey, nil
	}
	secret, err := receiptkey.Read(ctx, r.Live, l)
	if err != nil {
		return nil, err
	}
	m.receiptKey = secret
	return secret, nil
}

// currentReceiptKeys returns the keys for the status: those that this reconcile found, or those already in the status if it found
// none.
func (f *findings) currentReceiptKeys() []v1alpha1.ReceiptKeyStatus {
	if f.receiptKeys == nil && f.listener.Status.Receipts != nil {
		return f.listener.Status.Receipts.Keys
	}
	return f.receiptKeys
}
