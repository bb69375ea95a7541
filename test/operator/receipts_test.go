package operator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

func withReceipts(l *v1alpha1.SFTPListener) {
	l.Spec.Uploads = v1alpha1.ListenerUploads{Publish: v1alpha1.PublishOnClose, Checksum: v1alpha1.ChecksumSHA256, Receipts: &v1alpha1.UploadReceipts{}}
}

// receiptKeys waits until the pods have the key that is first in the status, the earlier keys follow it there, and the
// published allowed signers verify its signatures. It returns all keys in the status.
func receiptKeys(t *testing.T, l *v1alpha1.SFTPListener, before ...v1alpha1.ReceiptKeyStatus) (keys []v1alpha1.ReceiptKeyStatus) {
	t.Helper()
	eventually(t, func() error {
		get(t, l, l.Namespace, l.Name)
		secret, published := &corev1.Secret{}, &corev1.ConfigMap{}
		get(t, secret, l.Namespace, "partners-sftp-config")
		private := secret.Data[config.ReceiptKeyFile]
		settings := settingsOf(t, l)
		if l.Status.Receipts == nil || private == nil || settings.Receipts.Key.SHA256 != config.Digest(private) {
			return fmt.Errorf("pods have %d bytes of a key, and the settings are %+v", len(private), settings.Receipts)
		}
		signer, err := receipt.ParseSigner(private)
		if err != nil {
			return err
		}
		keys = l.Status.Receipts.Keys
		if len(keys) != len(before)+1 || keys[0].Fingerprint != signer.Fingerprint() || keys[0].EndTime != nil {
			return fmt.Errorf("the pods' key is %s, and the status has %+v", signer.Fingerprint(), keys)
		}
		for i, k := range before {
			if keys[i+1].Fingerprint != k.Fingerprint || keys[i+1].EndTime == nil {
				return fmt.Errorf("earlier keys: %+v, want those of %+v, with an end time", keys, before)
			}
		}
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: l.Namespace, Name: "partners-sftp-known-hosts"}, published); err != nil {
			return err
		}
		signers, err := receipt.ParseAllowedSigners([]byte(published.Data["allowed_signers"]))
		if err != nil || len(signers) != len(keys) {
			return fmt.Errorf("%d allowed signers, %w: %s", len(signers), err, published.Data["allowed_signers"])
		}
		_, err = signers.Key(&receipt.Receipt{Listener: l.Namespace + "/partners", Key: signer.Fingerprint(), Published: time.Now()})
		return err
	})
	return keys
}

// A listener with receipts gets a key, which only someone who may change its Secret can replace; replaced keys stay in the
// status, with and without receipts.
func TestReceiptKey(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.Uploads = v1alpha1.ListenerUploads{Publish: v1alpha1.PublishOnClose, Checksum: v1alpha1.ChecksumSHA256}
	})
	if get(t, l, ns, l.Name); settingsOf(t, l).Receipts.On() || l.Status.Receipts != nil {
		t.Errorf("receipts that were not requested: %+v", l.Status.Receipts)
	}
	change(t, l, withReceipts)
	first := receiptKeys(t, l)
	restartOperator(t, func() {})
	if again := receiptKeys(t, l); again[0].Fingerprint != first[0].Fingerprint {
		t.Fatalf("a different key after a restart: %+v", again)
	}
	secret := &corev1.Secret{}
	get(t, secret, ns, "partners-sftp-receipt-key")
	if len(secret.OwnerReferences) != 0 || secret.Labels[v1alpha1.LabelReceiptKey] != "partners" {
		t.Errorf("the Secret must outlive its listener: %+v", secret.ObjectMeta)
	}
	for _, retention := range []v1alpha1.RetentionPolicy{v1alpha1.Delete, v1alpha1.Retain} {
		change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.VolumeClaimRetention = retention })
		eventually(t, func() error {
			get(t, secret, ns, "partners-sftp-receipt-key")
			if owned := metav1.IsControlledBy(secret, l); owned != (retention == v1alpha1.Delete) {
				return fmt.Errorf("with %s: deleted with the listener: %t", retention, owned)
			}
			return nil
		})
	}

	remove(t, secret)
	second := receiptKeys(t, l, first...)
	own, err := key.Generate(v1alpha1.KeyEd25519, "own")
	if err != nil {
		t.Fatal(err)
	}
	get(t, secret, ns, "partners-sftp-receipt-key")
	change(t, secret, func(s *corev1.Secret) { s.Data[config.ReceiptKeyFile] = own.Private })
	third := receiptKeys(t, l, second...)
	if third[0].Fingerprint != own.Fingerprint() {
		t.Errorf("%+v", third)
	}

	// An unusable key changes nothing for the pods, and the message does not quote it.
	change(t, secret, func(s *corev1.Secret) { s.Data[config.ReceiptKeyFile] = []byte("not to be quoted") })
	eventually(t, func() error {
		get(t, l, ns, l.Name)
		said := fmt.Sprintf("%+v", l.Status.Conditions)
		if !strings.Contains(said, `Secret "partners-sftp-receipt-key"`) || !strings.Contains(said, "The pods keep the key that they have") {
			return fmt.Errorf("%s", said)
		}
		if strings.Contains(said, "to be quoted") {
			t.Errorf("quoted: %s", said)
		}
		return nil
	})
	if settings := settingsOf(t, l); settings.Receipts.Key.SHA256 != config.Digest(own.Private) {
		t.Errorf("the pods have %+v", settings.Receipts)
	}
	change(t, secret, func(s *corev1.Secret) { s.Data[config.ReceiptKeyFile] = own.Private })

	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Uploads.Receipts = nil })
	eventually(t, func() error {
		get(t, l, ns, l.Name)
		if settingsOf(t, l).Receipts.On() || l.Status.Receipts == nil || len(l.Status.Receipts.Keys) != 3 {
			return fmt.Errorf("%+v, %+v", settingsOf(t, l).Receipts, l.Status.Receipts)
		}
		return nil
	})
}
