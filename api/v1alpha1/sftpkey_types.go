package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SFTPKey is one SSH key: a pair in a Secret, or the public key of a pair that someone else
// has.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=sftpk,categories=sftp
// +kubebuilder:printcolumn:name="Usage",type=string,JSONPath=`.spec.usage`
// +kubebuilder:printcolumn:name="Algorithm",type=string,JSONPath=`.status.algorithm`
// +kubebuilder:printcolumn:name="Fingerprint",type=string,JSONPath=`.status.fingerprint`
// +kubebuilder:printcolumn:name="User",type=string,JSONPath=`.status.users[0]`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expirationTime`
// +kubebuilder:printcolumn:name="Last Used",type=string,JSONPath=`.status.lastUsedDate`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Inactive",type=string,JSONPath=`.status.conditions[?(@.type=="Inactive")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:message="the name of the Secret (spec.secretName, or else metadata.name) must be at most 244 characters with source Generated: -r and the number of the revision are appended to it",rule="(has(self.spec.source) && self.spec.source != 'Generated') || size(has(self.spec.secretName) ? self.spec.secretName : self.metadata.name) <= 244"
type SFTPKey struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the key.
	// +required
	Spec SFTPKeySpec `json:"spec,omitzero"`

	// status is what the operator last found. Only the operator writes it.
	// +optional
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	Status SFTPKeyStatus `json:"status,omitempty,omitzero"`
}

// SFTPKeyList is a list of SFTPKeys.
//
// +kubebuilder:object:root=true
type SFTPKeyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SFTPKey `json:"items"`
}

// SFTPKeySpec describes a key: what it is for, where it comes from, who logs in with it, and when.
//
// +kubebuilder:validation:XValidation:message="algorithm may be set only with source Generated: an existing key already has its algorithm",rule="!has(self.algorithm) || !has(self.source) || self.source == 'Generated'"
// +kubebuilder:validation:XValidation:message="publicKey must be set with source PublicKey, and with no other",rule="has(self.publicKey) == (has(self.source) && self.source == 'PublicKey')"
// +kubebuilder:validation:XValidation:message="publicKey must never be a private key: use the contents of the .pub file, and generate a new key pair, because others may have seen this private key",rule="!has(self.publicKey) || !(self.publicKey.contains('PRIVATE KEY') || self.publicKey.contains('PuTTY-User') || self.publicKey.contains('b3BlbnNzaC1r'))"
// +kubebuilder:validation:XValidation:message="source PublicKey is only for usage Client: a host key needs its private half",rule="!has(self.source) || self.source != 'PublicKey' || self.usage == 'Client'"
// +kubebuilder:validation:XValidation:message="secretName must not be set with source PublicKey: there is no Secret",rule="!has(self.secretName) || !has(self.source) || self.source != 'PublicKey'"
// +kubebuilder:validation:XValidation:message="userRef, notBefore, expirationTime and from are only for usage Client",rule="self.usage == 'Client' || !(has(self.userRef) || has(self.notBefore) || has(self.expirationTime) || has(self.from))"
// +kubebuilder:validation:XValidation:message="expirationTime must be after notBefore",rule="!has(self.notBefore) || !has(self.expirationTime) || self.notBefore < self.expirationTime"
// +kubebuilder:validation:XValidation:message="rotation.madeAfter and policy Periodic are only for generated keys: other keys are replaced by whatever maintains their Secrets",rule="!(has(self.rotation) && (has(self.rotation.madeAfter) || (has(self.rotation.policy) && self.rotation.policy == 'Periodic'))) || !has(self.source) || self.source == 'Generated'"
// +kubebuilder:validation:XValidation:message="rotation is for generated keys, and for host keys with source Existing",rule="!has(self.rotation) || !has(self.source) || self.source == 'Generated' || self.usage == 'Host'"
// +kubebuilder:validation:XValidation:message="publicKey is immutable: make a new SFTPKey",rule="has(self.publicKey) == has(oldSelf.publicKey) && (!has(self.publicKey) || self.publicKey == oldSelf.publicKey)"
// +kubebuilder:validation:XValidation:message="algorithm is immutable: make a new SFTPKey",rule="has(self.algorithm) == has(oldSelf.algorithm) && (!has(self.algorithm) || self.algorithm == oldSelf.algorithm)"
// +kubebuilder:validation:XValidation:message="secretName is immutable: make a new SFTPKey",rule="has(self.secretName) == has(oldSelf.secretName) && (!has(self.secretName) || self.secretName == oldSelf.secretName)"
type SFTPKeySpec struct {
	// usage is Host, for a key that a listener presents, or Client, for a key that a
	// user logs in with. It is immutable.
	// +required
	// +kubebuilder:validation:XValidation:message="usage is immutable: make a new SFTPKey",rule="self == oldSelf"
	Usage KeyUsage `json:"usage,omitempty"`

	// source is where the key comes from. PublicKey: from the field publicKey, the public half
	// of a pair that the user has made. This is the best choice, because the private key never
	// leaves the user. Generated: the operator makes a pair once and stores it in a Secret.
	// Existing: from a Secret that something else maintains. It is immutable. Default Generated.
	// +optional
	// +kubebuilder:default=Generated
	// +kubebuilder:validation:XValidation:message="source is immutable: make a new SFTPKey",rule="self == oldSelf"
	Source KeySource `json:"source,omitempty"`

	// publicKey is the line of a .pub file, with source PublicKey. It must have no
	// options: networks go into from. It is immutable.
	// +optional
	PublicKey PublicKeyLine `json:"publicKey,omitempty"`

	// userRef assigns the key to one SFTPUser in the same namespace, who then logs in with it.
	// No other SFTPUser of the namespace can use the key, not even one that lists the same
	// public key. A key of usage Client without userRef logs in no user.
	// +optional
	UserRef *LocalUserReference `json:"userRef,omitempty"`

	// notBefore is the time, for example 2027-01-31T00:00:00Z, before which the key is refused. Default: none, the key
	// works at once.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`

	// expirationTime is the time, for example 2027-01-31T00:00:00Z, from which the key is refused; sessions that it
	// opened are closed then. Default: none, the key does not expire.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// from lists the networks from which the key may be used. The allowedCIDRs of the listener
	// and of the user must allow the client's address as well. Default: any network.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	From []Network `json:"from,omitempty"`

	// algorithm of a generated key; RSA3072 and RSA4096 are for clients that support nothing newer.
	// Default Ed25519. It is immutable.
	// +optional
	Algorithm KeyAlgorithm `json:"algorithm,omitempty"`

	// secretName is the Secret of type kubernetes.io/ssh-auth with the entries
	// ssh-privatekey and ssh-publickey. Default: the name of this object. For an existing
	// Client key, ssh-publickey is enough. A Host key may have an OpenSSH host certificate
	// in the entry ssh-certificate, which the CA's operator keeps valid; pods present it at
	// once. It is immutable.
	// +optional
	SecretName ObjectName `json:"secretName,omitempty"`

	// rotation controls when a new pair is generated, and how long the old one keeps
	// working. Each pair has its own Secret: the second one's is <secretName>-r2, and
	// so on.
	// +optional
	Rotation KeyRotation `json:"rotation,omitempty,omitzero"`

	// deletionPolicy is what happens to generated Secrets, of all revisions, when this object
	// is deleted. A new SFTPKey of the same name adopts the retained Secret of the last
	// revision. With Delete, the Secret of a pair whose overlap is over is deleted as well.
	// Default Retain.
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy RetentionPolicy `json:"deletionPolicy,omitempty"`
}

// KeyUsage is what a key is for.
//
// +kubebuilder:validation:Enum=Host;Client
type KeyUsage string

// The usages of keys.
const (
	KeyUsageHost   KeyUsage = "Host"
	KeyUsageClient KeyUsage = "Client"
)

// KeySource is where a key comes from.
//
// +kubebuilder:validation:Enum=PublicKey;Generated;Existing
type KeySource string

// The sources of keys.
const (
	KeyPublicKey KeySource = "PublicKey"
	KeyGenerated KeySource = "Generated"
	KeyExisting  KeySource = "Existing"
)

// KeyRotation controls when new pairs are generated, and how long the old ones keep working.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:message="periodSeconds must be set with policy Periodic, and with no other",rule="has(self.periodSeconds) == (has(self.policy) && self.policy == 'Periodic')"
// +kubebuilder:validation:XValidation:message="overlapSeconds must be less than periodSeconds",rule="!has(self.periodSeconds) || !has(self.overlapSeconds) || self.overlapSeconds < self.periodSeconds"
type KeyRotation struct {
	// madeAfter is the earliest time at which the pair in use may have been generated: an older
	// one is rotated, once. Set it to the current time to get a new pair now. With a time in the
	// future, the new pair is generated then; see status.nextRotationTime. Fractions of a second
	// are ignored.
	// +optional
	MadeAfter *metav1.Time `json:"madeAfter,omitempty"`

	// policy Manual generates a new pair only for madeAfter. Periodic also does so when the
	// pair is periodSeconds old. Default Manual.
	// +optional
	// +kubebuilder:default=Manual
	Policy RotationPolicy `json:"policy,omitempty"`

	// periodSeconds is the age, in seconds, at which policy Periodic replaces a pair: from 3600,
	// an hour, to 315360000, ten years. It must be set with that policy; there is no default.
	// +optional
	// +kubebuilder:validation:Minimum=3600
	// +kubebuilder:validation:Maximum=315360000
	PeriodSeconds *int32 `json:"periodSeconds,omitempty"`

	// overlapSeconds is how long, in seconds, the previous pair works alongside the new one. A listener
	// announces a new Host key for that long before using it, and the previous one for that
	// long afterwards; 0 replaces it at once, for a compromised key, and surprises clients.
	// Default 1209600, two weeks, or half of periodSeconds if that is less.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	OverlapSeconds *int32 `json:"overlapSeconds,omitempty"`
}

// RotationPolicy controls when new pairs are generated.
//
// +kubebuilder:validation:Enum=Manual;Periodic
type RotationPolicy string

// The ways to rotate a key.
const (
	RotationManual   RotationPolicy = "Manual"
	RotationPeriodic RotationPolicy = "Periodic"
)

// LocalUserReference names an SFTPUser in the same namespace.
type LocalUserReference struct {
	// name of the SFTPUser.
	// +required
	Name ObjectName `json:"name,omitempty"`
}

// KeyAlgorithm is an algorithm for generated keys.
//
// +kubebuilder:validation:Enum=Ed25519;ECDSAP256;RSA3072;RSA4096
type KeyAlgorithm string

// The algorithms for generated keys.
const (
	KeyEd25519   KeyAlgorithm = "Ed25519"
	KeyECDSAP256 KeyAlgorithm = "ECDSAP256"
	KeyRSA3072   KeyAlgorithm = "RSA3072"
	KeyRSA4096   KeyAlgorithm = "RSA4096"
)

// SFTPKeyStatus is what the operator last found. Only the operator writes it.
type SFTPKeyStatus struct {
	// conditions hold Ready, and Assigned for a key with userRef.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the status describes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// algorithm is the key type as SSH names it, for example ssh-ed25519.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Algorithm string `json:"algorithm,omitempty"`

	// fingerprint is the SHA-256 fingerprint as OpenSSH prints it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// publicKey is the key in the format of authorized_keys. Once it is set, a missing
	// Secret is reported and never replaced by a new key.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	PublicKey string `json:"publicKey,omitempty"`

	// secretName is the Secret that holds the key.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`

	// bits is the size of the key: of an RSA modulus, or of the curve.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Bits int32 `json:"bits,omitempty"`

	// revision is the number of the generated pair in use.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Revision int32 `json:"revision,omitempty"`

	// revisionTime is when that pair was generated.
	// +optional
	RevisionTime *metav1.Time `json:"revisionTime,omitempty"`

	// nextRotationTime is when the next pair will be generated, due to rotation.policy or
	// rotation.madeAfter.
	// +optional
	NextRotationTime *metav1.Time `json:"nextRotationTime,omitempty"`

	// retiring are pairs of former revisions that still work; for a Host key, those that
	// a listener in the namespace still has.
	// +optional
	// +listType=map
	// +listMapKey=revision
	// +kubebuilder:validation:MaxItems=4
	Retiring []RetiringKey `json:"retiring,omitempty"`

	// certificate is the host certificate in the Secret of a Host key, if it can be used.
	// +optional
	Certificate *HostCertificateStatus `json:"certificate,omitempty"`

	// users are the SFTPUsers of the namespace that log in with this key, at most 64 of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Users []string `json:"users,omitempty"`

	// userCount is the number of these SFTPUsers, even if users names only the first 64.
	// +optional
	// +kubebuilder:validation:Minimum=0
	UserCount *int32 `json:"userCount,omitempty"`

	// lastUsedDate is the day, as YYYY-MM-DD in UTC, of the last login with this key.
	// +optional
	LastUsedDate Date `json:"lastUsedDate,omitempty"`
}

// RetiringKey is a pair of a former revision that still works.
type RetiringKey struct {
	// revision is its number.
	// +required
	// +kubebuilder:validation:Minimum=1
	Revision int32 `json:"revision,omitempty"`

	// publicKey is the key in the format of authorized_keys.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	PublicKey string `json:"publicKey,omitempty"`

	// fingerprint is the SHA-256 fingerprint as OpenSSH prints it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// secretName is the Secret that holds it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`

	// endTime is when it stops working. A Host key has none: status.hostKeys of the
	// listeners shows when they no longer use it.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`
}

// HostCertificateStatus is an OpenSSH host certificate.
type HostCertificateStatus struct {
	// keyID is the CA's name for it (ssh-keygen -I), without unprintable characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	KeyID string `json:"keyID,omitempty"`

	// caFingerprint is the SHA-256 fingerprint of the CA's key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	CAFingerprint string `json:"caFingerprint,omitempty"`

	// principals are the host names that it is valid for, at most 32 of them. Without any it
	// is valid for all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Principals []string `json:"principals,omitempty"`

	// principalCount is the number of host names that it is valid for, even if principals has
	// only the first 32.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PrincipalCount *int32 `json:"principalCount,omitempty"`

	// expirationTime is when it expires; absent if it never does.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
}
