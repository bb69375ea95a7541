package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// UploadReceipts are signed receipts for uploads. There is nothing to set yet.
type UploadReceipts struct{}

// ListenerReceiptsStatus has the keys that verify receipts.
type ListenerReceiptsStatus struct {
	// keys are the current and former keys that receipts are signed with, newest first. The
	// ConfigMap <listener>-sftp-known-hosts has them under allowed_signers.
	// +optional
	// +listType=map
	// +listMapKey=fingerprint
	// +kubebuilder:validation:MaxItems=32
	Keys []ReceiptKeyStatus `json:"keys,omitempty"`
}

// ReceiptKeyStatus is the public half of a key that signs receipts.
type ReceiptKeyStatus struct {
	// fingerprint is the SHA-256 fingerprint as OpenSSH prints it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// publicKey is the key in the format of authorized_keys.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	PublicKey string `json:"publicKey,omitempty"`

	// startTime is when the key came into use.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// endTime is when no more receipts can be signed with it, if another key has replaced it: an hour after
	// that, because pods may still have it.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`
}
