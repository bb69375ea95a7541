package v1alpha1

// RevokedKey names what logs nobody in.
//
// +kubebuilder:validation:XValidation:message="exactly one of fingerprint and publicKey must be set",rule="has(self.fingerprint) != has(self.publicKey)"
type RevokedKey struct {
	// fingerprint is the SHA-256 fingerprint of a public key, as ssh-keygen -l and the
	// audit log show it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:message="must be a SHA-256 fingerprint as ssh-keygen -l prints it: SHA256: and 43 characters",rule="self.matches('^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$')"
	Fingerprint string `json:"fingerprint,omitempty"`

	// publicKey is a public key, the line of a .pub file.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	PublicKey string `json:"publicKey,omitempty"`
}
