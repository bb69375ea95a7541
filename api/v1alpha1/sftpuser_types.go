package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SFTPUser is one login on one listener.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=sftpu,categories=sftp
// +kubebuilder:selectablefield:JSONPath=`.spec.listenerRef.name`
// +kubebuilder:printcolumn:name="Username",type=string,JSONPath=`.status.username`
// +kubebuilder:printcolumn:name="Listener",type=string,JSONPath=`.spec.listenerRef.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expirationTime`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SFTPUser struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the login that is wanted.
	// +required
	Spec SFTPUserSpec `json:"spec,omitzero"`

	// status is the login as it was last seen.
	// +optional
	// +kubebuilder:default={conditions: {{type: "Accepted", status: "Unknown", reason: "Pending", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"},{type: "ResolvedRefs", status: "Unknown", reason: "Pending", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"},{type: "Ready", status: "Unknown", reason: "Pending", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	Status SFTPUserStatus `json:"status,omitempty,omitzero"`
}

// SFTPUserList is a list of SFTPUsers.
//
// +kubebuilder:object:root=true
type SFTPUserList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SFTPUser `json:"items"`
}

// SFTPUserSpec is the login that is wanted.
//
// +kubebuilder:validation:XValidation:message="username is immutable: delete the SFTPUser and make a new one",rule="has(self.username) == has(oldSelf.username) && (!has(self.username) || self.username == oldSelf.username)"
type SFTPUserSpec struct {
	// listenerRef is the listener that this login belongs to. It is immutable.
	// +required
	// +kubebuilder:validation:XValidation:message="listenerRef is immutable: delete the SFTPUser and make a new one",rule="self == oldSelf"
	ListenerRef ListenerReference `json:"listenerRef,omitzero"`

	// username is the login name. Default: the name of this object. On a listener
	// with usernames NamespacePrefixed, "<namespace>." is put before it. The
	// effective name is in status.username.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:message="username must start with a letter, digit or '_' and contain only letters, digits and . _ @ + -",rule="self.matches('^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$')"
	Username string `json:"username,omitempty"`

	// state Suspended refuses logins and closes sessions; everything else is kept.
	// +optional
	// +kubebuilder:default=Active
	State UserState `json:"state,omitempty"`

	// expirationTime is when the login ends: from then on it is refused, and
	// sessions are closed.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// allowedCIDRs are the networks that this user may log in from, beside what the
	// listener and the from= of a key say: all of them have to allow. Default: all. They
	// compare with what the pods see as the client's address, see the listener's service
	// and proxyProtocol.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	AllowedCIDRs []Network `json:"allowedCIDRs,omitempty"`

	// authentication is how this user logs in. Without it, the keys are those of the
	// SFTPKeys that name this user in their userRef.
	// +optional
	Authentication UserAuthentication `json:"authentication,omitempty,omitzero"`

	// homeDirectory is what the user sees as "/". Default: the directory
	// <namespace>/<name> of the listener's home volume, with access ReadWrite.
	// +optional
	HomeDirectory Directory `json:"homeDirectory,omitempty,omitzero"`

	// mounts are further directories in the user's tree.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Mounts []Mount `json:"mounts,omitempty"`

	// limits of this user.
	// +optional
	Limits UserLimits `json:"limits,omitempty,omitzero"`
}

// ListenerReference names an SFTPListener.
type ListenerReference struct {
	// name of the SFTPListener.
	// +required
	Name ListenerName `json:"name,omitempty"`

	// namespace of the SFTPListener. Default: the namespace of the SFTPUser. The
	// listener must allow the SFTPUser's namespace in spec.allowedUsers.
	// +optional
	Namespace NamespaceName `json:"namespace,omitempty"`
}

// UserState says whether a login works.
//
// +kubebuilder:validation:Enum=Active;Suspended
type UserState string

// The states of a login.
const (
	UserActive    UserState = "Active"
	UserSuspended UserState = "Suspended"
)

// UserAuthentication is how a user logs in, beside the SFTPKeys that name the user in their
// userRef.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:message="mode AllOf must have passwordSecretRef: it asks for a key and then the password",rule="!has(self.mode) || self.mode != 'AllOf' || has(self.passwordSecretRef)"
// +kubebuilder:validation:XValidation:message="mode and methods exclude each other: remove mode, which is the short form",rule="!has(self.mode) || !has(self.methods)"
// +kubebuilder:validation:XValidation:message="methods with password must have passwordSecretRef",rule="!has(self.methods) || has(self.passwordSecretRef) || !self.methods.exists(m, 'password' in m.split(','))"
// +kubebuilder:validation:XValidation:message="methods with keyboard-interactive:totp must have totpSecretRef: kubectl sftp totp makes the secret",rule="!has(self.methods) || has(self.totpSecretRef) || !self.methods.exists(m, 'keyboard-interactive:totp' in m.split(','))"
// +kubebuilder:validation:XValidation:message="totpSecretRef must be used: add ,keyboard-interactive:totp to one of methods, or remove methods to have a code asked for always",rule="!has(self.methods) || !has(self.totpSecretRef) || self.methods.exists(m, 'keyboard-interactive:totp' in m.split(','))"
type UserAuthentication struct {
	// mode is the short form of methods. AnyOf lets each credential log in by itself, AllOf
	// asks for a key and then the password; with totpSecretRef, both ask for a code after
	// that. Default: the listener's requiredMethods, or else AnyOf.
	// +optional
	Mode AuthMode `json:"mode,omitempty"`

	// methods are combinations of which each logs in, for example
	// publickey,keyboard-interactive:totp. The steps of a combination have to succeed in
	// its order; publickey,publickey asks for two different keys. A client is asked for
	// password with the SSH methods password and keyboard-interactive.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Methods []MethodCombination `json:"methods,omitempty"`

	// authorizedKeys are public keys, each a line of an OpenSSH authorized_keys file.
	// The option from="address,network,..." is understood; a line with any other
	// option is refused.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:message="must never be a private key: give the line of the .pub file, and make a new pair, because others may have seen this one",rule="self.all(k, !k.contains('PRIVATE KEY') && !k.contains('PuTTY-User') && !k.contains('b3BlbnNzaC1r'))"
	AuthorizedKeys []AuthorizedKey `json:"authorizedKeys,omitempty"`

	// authorizedKeysSecretRefs are Secrets in the same namespace, each with an
	// authorized_keys file.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	AuthorizedKeysSecretRefs []AuthorizedKeysSecretReference `json:"authorizedKeysSecretRefs,omitempty"`

	// keyRefs are SFTPKeys of usage Client in the same namespace. Those that name this user
	// in their userRef need not be here; one that names another user cannot be used.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	KeyRefs []LocalKeyReference `json:"keyRefs,omitempty"`

	// certificates Accepted lets user certificates log in, in the place of a key, that one of
	// the listener's authentication.trustedUserCAs made and that have the login name among
	// their principals. Default Refused.
	// +optional
	Certificates CertificateUse `json:"certificates,omitempty"`

	// passwordSecretRef is a Secret in the same namespace with the password in clear, best
	// of type kubernetes.io/basic-auth, or with a hash of it. Only a hash reaches the pods.
	// +optional
	PasswordSecretRef *PasswordSecretReference `json:"passwordSecretRef,omitempty"`

	// totpSecretRef is a Secret in the same namespace with the secret of an authenticator
	// app (RFC 6238): in base32, of at least 128 bits, or as the otpauth URI of its QR code,
	// with SHA1, SHA256 or SHA512, 6 or 8 digits and a period of 30 seconds. Without methods,
	// each login then needs a code. It reaches the pods as it is. kubectl sftp totp sets it up.
	// +optional
	TOTPSecretRef *TOTPSecretReference `json:"totpSecretRef,omitempty"`
}

// MethodCombination is steps of a login in their order, in the syntax of OpenSSH's
// AuthenticationMethods: publickey (a key or certificate), password, and
// keyboard-interactive:totp (the code of an authenticator app, which is never the first).
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=100
// +kubebuilder:validation:XValidation:message="must be steps with commas and without blanks between them, of publickey, password and keyboard-interactive:totp (the code of an authenticator app), for example publickey,keyboard-interactive:totp",rule="self.split(',').all(s, s in ['publickey', 'password', 'keyboard-interactive:totp'])"
// +kubebuilder:validation:XValidation:message="must not begin with keyboard-interactive:totp: a code comes after publickey or password",rule="!self.startsWith('keyboard-interactive:totp')"
// +kubebuilder:validation:XValidation:message="must have at most 4 steps, password and keyboard-interactive:totp at most once",rule="size(self.split(',')) <= 4 && self.split(',').filter(s, s == 'password').size() <= 1 && self.split(',').filter(s, s == 'keyboard-interactive:totp').size() <= 1"
type MethodCombination string

// CertificateUse says whether a user logs in with certificates.
//
// +kubebuilder:validation:Enum=Accepted;Refused
type CertificateUse string

// The uses of certificates.
const (
	CertificatesAccepted CertificateUse = "Accepted"
	CertificatesRefused  CertificateUse = "Refused"
)

// AuthMode says how credentials combine.
//
// +kubebuilder:validation:Enum=AnyOf;AllOf
type AuthMode string

// The ways that credentials combine.
const (
	AuthAnyOf AuthMode = "AnyOf"
	AuthAllOf AuthMode = "AllOf"
)

// AuthorizedKeysSecretReference names an authorized_keys file in a Secret.
type AuthorizedKeysSecretReference struct {
	// name of the Secret.
	// +required
	Name ObjectName `json:"name,omitempty"`

	// key in the Secret's data. Default authorized_keys.
	// +optional
	// +kubebuilder:default=authorized_keys
	Key SecretEntry `json:"key,omitempty"`
}

// PasswordSecretReference names a password in a Secret.
type PasswordSecretReference struct {
	// name of the Secret.
	// +required
	Name ObjectName `json:"name,omitempty"`

	// key in the Secret's data. Default password.
	// +optional
	// +kubebuilder:default=password
	Key SecretEntry `json:"key,omitempty"`

	// format Plain: the entry is the password. Hash: it is a hash of the password, of
	// argon2id ($argon2id$), bcrypt ($2a$, $2b$, $2y$, cost up to 14) or SHA-512 crypt ($6$,
	// up to 500000 rounds), as from another server. Default Plain.
	// +optional
	Format PasswordFormat `json:"format,omitempty"`
}

// PasswordFormat says what a Secret has of a password.
//
// +kubebuilder:validation:Enum=Plain;Hash
type PasswordFormat string

// The formats of passwords.
const (
	PasswordPlain PasswordFormat = "Plain"
	PasswordHash  PasswordFormat = "Hash"
)

// TOTPSecretReference names the secret of an authenticator app in a Secret.
type TOTPSecretReference struct {
	// name of the Secret.
	// +required
	Name ObjectName `json:"name,omitempty"`

	// key in the Secret's data. Default totp.
	// +optional
	// +kubebuilder:default=totp
	Key SecretEntry `json:"key,omitempty"`
}

// LocalKeyReference names an SFTPKey in the same namespace.
type LocalKeyReference struct {
	// name of the SFTPKey.
	// +required
	Name ObjectName `json:"name,omitempty"`
}

// UserLimits bound what one user may use.
type UserLimits struct {
	// maxConnections of this user on each pod; the listener's maxConnectionsPerUser
	// holds as well.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxConnections *int32 `json:"maxConnections,omitempty"`
}

// SFTPUserStatus is the login as it was last seen.
type SFTPUserStatus struct {
	// conditions are Accepted, ResolvedRefs and Ready; wait for Ready. Ready is True
	// when every ready pod of the listener has loaded this login.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the status describes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// username is the login name in effect.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Username string `json:"username,omitempty"`

	// address is where the user connects, as host:port.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=280
	Address string `json:"address,omitempty"`

	// keys are the public keys of this user, those that cannot be used included.
	// +optional
	// +listType=map
	// +listMapKey=fingerprint
	// +kubebuilder:validation:MaxItems=512
	Keys []UserKeyStatus `json:"keys,omitempty"`

	// provedHostKeys are the fingerprints of those host keys of the listener that a client of
	// this user has learned, as OpenSSH's client does after a login: it asked for a proof and
	// got it. Who does not have one that is Advertised will be asked, or fail, when that
	// becomes Active, unless the key reached the client in another way.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	ProvedHostKeys []string `json:"provedHostKeys,omitempty"`
}

// UserKeyStatus is a public key of a user.
type UserKeyStatus struct {
	// fingerprint is the SHA-256 fingerprint as OpenSSH prints it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// type is the key type as SSH names it, for example ssh-ed25519.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Type string `json:"type,omitempty"`

	// bits is the size of the key: of an RSA modulus, or of the curve.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Bits int32 `json:"bits,omitempty"`

	// source is where the key comes from: inline for authorizedKeys, secret/<name> for a
	// Secret, sftpkey/<name> for an SFTPKey.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=264
	Source string `json:"source,omitempty"`

	// comment is what follows the key in its line, as far as it is printable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Comment string `json:"comment,omitempty"`

	// addedDate is the day, in UTC, on which the operator first saw the key with this user.
	// +optional
	// +kubebuilder:validation:MinLength=10
	// +kubebuilder:validation:MaxLength=10
	AddedDate string `json:"addedDate,omitempty"`

	// notBefore is from when on the key logs in, unless that is at once.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`

	// expirationTime is when the key ends, unless it never does.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// lastUsedDate is the day, in UTC, of the last login with this key. Without it there
	// was none that the operator knows of.
	// +optional
	// +kubebuilder:validation:MinLength=10
	// +kubebuilder:validation:MaxLength=10
	LastUsedDate string `json:"lastUsedDate,omitempty"`

	// state says whether the key logs in, and whether somebody should look at it.
	// +required
	State KeyState `json:"state,omitempty"`
}

// KeyState says whether a key logs in, and whether somebody should look at it. Active,
// Expiring and Unused keys do: Expiring ends within the listener's
// keyPolicy.expiringWithinDays, Unused was not used for keyPolicy.unusedAfterDays. Expired
// and NotYetValid keys do not by their times, Weak ones by the listener's cryptoPolicy,
// AssignedElsewhere is a key that an SFTPKey assigns to another user, and Revoked one that
// the listener's revokedKeys names.
//
// +kubebuilder:validation:Enum=Active;Expiring;Expired;NotYetValid;Unused;Weak;AssignedElsewhere;Revoked
type KeyState string

// The states of keys.
const (
	KeyActive            KeyState = "Active"
	KeyExpiring          KeyState = "Expiring"
	KeyExpired           KeyState = "Expired"
	KeyNotYetValid       KeyState = "NotYetValid"
	KeyUnused            KeyState = "Unused"
	KeyWeak              KeyState = "Weak"
	KeyAssignedElsewhere KeyState = "AssignedElsewhere"
	KeyRevoked           KeyState = "Revoked"
)

// DateFormat is the layout of the days in the status of keys.
const DateFormat = "2006-01-02"
