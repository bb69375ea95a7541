package v1alpha1

// RevokedKey names a key or certificate that must not log in.
//
// +kubebuilder:validation:ExactlyOneOf=fingerprint;publicKey;certificate
// +kubebuilder:validation:XValidation:message="publicKey must never be a private key: use the contents of the .pub file, and generate a new key pair, because others may have seen this private key",rule="!has(self.publicKey) || !(self.publicKey.contains('PRIVATE KEY') || self.publicKey.contains('PuTTY-User') || self.publicKey.contains('b3BlbnNzaC1r'))"
type RevokedKey struct {
	// fingerprint is the SHA-256 fingerprint of a public key, as ssh-keygen -l and the
	// audit log show it. A CA's fingerprint covers all certificates that the CA signed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:message="must be a SHA-256 fingerprint as ssh-keygen -l prints it: SHA256: and 43 characters",rule="self.matches('^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$')"
	Fingerprint string `json:"fingerprint,omitempty"`

	// publicKey is a public key, the line of a .pub file.
	// +optional
	PublicKey PublicKeyLine `json:"publicKey,omitempty"`

	// certificate names user certificates by their serial number or key ID.
	// +optional
	Certificate *RevokedCertificate `json:"certificate,omitempty"`
}

// RevokedCertificate names user certificates.
//
// +kubebuilder:validation:XValidation:message="exactly one of serial and keyID must be set",rule="has(self.serial) != has(self.keyID)"
// +kubebuilder:validation:XValidation:message="caFingerprint must be set with serial: each CA has its own serial numbers",rule="!has(self.serial) || has(self.caFingerprint)"
type RevokedCertificate struct {
	// caFingerprint is the SHA-256 fingerprint of the CA's public key. Default: any CA, which is
	// possible only with keyID.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:message="must be a SHA-256 fingerprint as ssh-keygen -l prints it: SHA256: and 43 characters",rule="self.matches('^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$')"
	CAFingerprint string `json:"caFingerprint,omitempty"`

	// serial is a serial number from 1 to 18446744073709551615, in quotes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:message="must be a decimal number of at least 1: certificates without a serial number have 0, and are identified by their keyID",rule="self.matches('^[1-9][0-9]*$')"
	Serial string `json:"serial,omitempty"`

	// keyID is a certificate's key ID, ssh-keygen's -I.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	KeyID string `json:"keyID,omitempty"`
}

// SecretFileReference names a file in a Secret of the same namespace.
type SecretFileReference struct {
	// name of the Secret.
	// +required
	Name ObjectName `json:"name,omitempty"`

	// key in the Secret's data, as the file is called in kubectl create secret generic
	// --from-file.
	// +required
	Key SecretEntry `json:"key,omitempty"`
}
