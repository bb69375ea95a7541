package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SFTPUser is one login on one listener.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=sftpu,categories=sftp
// +kubebuilder:selectablefield:JSONPath=`.spec.listenerRef.name`
// +kubebuilder:printcolumn:name="Username",type=string,JSONPath=`.status.username`
// +kubebuilder:printcolumn:name="Listener",type=string,JSONPath=`.status.listener`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Inactive",type=string,JSONPath=`.status.conditions[?(@.type=="Inactive")].reason`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expirationTime`,priority=1
// +kubebuilder:printcolumn:name="Refused",type=date,JSONPath=`.status.lastRefusal.time`,priority=1
// +kubebuilder:printcolumn:name="Refusal",type=string,JSONPath=`.status.lastRefusal.reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SFTPUser struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the login.
	// +required
	Spec SFTPUserSpec `json:"spec,omitzero"`

	// status is what the operator last found. Only the operator writes it.
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

// SFTPUserSpec describes a login: on which listener, with which credentials and directories.
//
// +kubebuilder:validation:XValidation:message="username is immutable: delete the SFTPUser and make a new one",rule="has(self.username) == has(oldSelf.username) && (!has(self.username) || self.username == oldSelf.username)"
type SFTPUserSpec struct {
	// listenerRef is the listener that this login belongs to. It is immutable.
	// +required
	// +kubebuilder:validation:XValidation:message="listenerRef is immutable: delete the SFTPUser and make a new one",rule="self == oldSelf"
	ListenerRef ListenerReference `json:"listenerRef,omitzero"`

	// username is the login name. Default: the name of this object. "<namespace>." is
	// prepended for users in namespaces other than the listener's, unless
	// allowedUsers.usernames of the listener says otherwise. The effective name is in
	// status.username.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:message="username must start with a letter, digit or '_' and contain only letters, digits and . _ @ + -",rule="self.matches('^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$')"
	Username string `json:"username,omitempty"`

	// state is Active, or Suspended: logins are refused and open sessions are closed, while the
	// login name, files and keys are kept. Default Active.
	// +optional
	// +kubebuilder:default=Active
	State UserState `json:"state,omitempty"`

	// expirationTime is the time, for example 2027-01-31T00:00:00Z, from which the login is refused; open sessions are
	// closed then. Default: none, the login does not expire.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// allowedCIDRs lists the networks from which this user may log in. The listener's
	// allowedCIDRs and the from of the key must allow the client's address as well. The address
	// is the one that the pods see, which depends on the listener's service and proxyProtocol.
	// Default: any network.
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
	// <namespace>/<name of this SFTPUser> of the listener's home volume, with access ReadWrite.
	// +optional
	HomeDirectory Directory `json:"homeDirectory,omitempty,omitzero"`

	// mounts are further directories that the user sees, each at its own path. Default: none.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Mounts []Mount `json:"mounts,omitempty"`

	// limits bound what this user may use. Default: those of the listener.
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

// UserState controls whether a login works.
//
// +kubebuilder:validation:Enum=Active;Suspended
type UserState string

// The states of a login.
const (
	UserActive    UserState = "Active"
	UserSuspended UserState = "Suspended"
)

// UserAuthentication is how a user logs in, in addition to SFTPKeys with a userRef to the
// user.
//
// +kubebuilder:validation:XValidation:message="methods with Password require passwordSecretRef",rule="!has(self.methods) || has(self.passwordSecretRef) || !self.methods.exists(m, 'Password' in m.steps)"
// +kubebuilder:validation:XValidation:message="methods with TOTP require totpSecretRef: kubectl sftp totp creates the secret",rule="!has(self.methods) || has(self.totpSecretRef) || !self.methods.exists(m, 'TOTP' in m.steps)"
// +kubebuilder:validation:XValidation:message="totpSecretRef must be used: add TOTP to one of methods, or remove methods to always require a code",rule="!has(self.methods) || !has(self.totpSecretRef) || self.methods.exists(m, 'TOTP' in m.steps)"
type UserAuthentication struct {
	// methods are the ways to log in. Each is a combination of steps that is enough, for
	// example {steps: [PublicKey, TOTP]}. Default: the listener's requiredMethods; without
	// these, any one credential is enough, followed by a code if totpSecretRef is set.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:message="methods must not contain the same steps twice",rule="self.all(m, self.exists_one(n, n.steps == m.steps))"
	Methods []MethodCombination `json:"methods,omitempty"`

	// authorizedKeys are public keys, each a line of an OpenSSH authorized_keys file.
	// The option from="address,network,..." is understood; a line with any other
	// option is refused.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:message="must never be a private key: use the contents of the .pub file, and generate a new key pair, because others may have seen this private key",rule="self.all(k, !k.contains('PRIVATE KEY') && !k.contains('PuTTY-User') && !k.contains('b3BlbnNzaC1r'))"
	AuthorizedKeys []AuthorizedKey `json:"authorizedKeys,omitempty"`

	// authorizedKeysSecretRefs are Secrets in the same namespace, each with an
	// authorized_keys file.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	AuthorizedKeysSecretRefs []AuthorizedKeysSecretReference `json:"authorizedKeysSecretRefs,omitempty"`

	// certificates is Accepted to let the user log in with an OpenSSH user certificate instead of
	// a registered key. It must be signed by one of the listener's authentication.trustedUserCAs
	// and have the login name among its principals. Default Refused.
	// +optional
	Certificates CertificateUse `json:"certificates,omitempty"`

	// passwordSecretRef names a Secret in the same namespace that has the password, in clear
	// text (preferably of type kubernetes.io/basic-auth) or as a hash. Only a hash reaches the
	// pods. Default: none, the user has no password.
	// +optional
	PasswordSecretRef *PasswordSecretReference `json:"passwordSecretRef,omitempty"`

	// totpSecretRef is a Secret in the same namespace with the secret of an authenticator
	// app (RFC 6238): in base32, of at least 128 bits, or as the otpauth URI of its QR code,
	// with SHA1, SHA256 or SHA512, 6 or 8 digits and a period of 30 seconds. Without methods,
	// each login then needs a code. It reaches the pods unchanged. kubectl sftp totp sets it up.
	// +optional
	TOTPSecretRef *TOTPSecretReference `json:"totpSecretRef,omitempty"`
}

// MethodCombination is a way to log in.
//
// +kubebuilder:validation:XValidation:message="steps must not begin with TOTP: a code comes after PublicKey or Password",rule="self.steps[0] != 'TOTP'"
// +kubebuilder:validation:XValidation:message="steps must contain Password and TOTP at most once",rule="self.steps.filter(s, s == 'Password').size() <= 1 && self.steps.filter(s, s == 'TOTP').size() <= 1"
type MethodCombination struct {
	// steps must succeed in this order. PublicKey is a key or certificate; twice, it means
	// two different keys. Password uses the SSH methods password and keyboard-interactive.
	// TOTP is the code from an authenticator app, and never comes first.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Steps []AuthMethod `json:"steps,omitempty"`
}

// String returns the steps with commas between them, as the package factor parses them.
func (c *MethodCombination) String() string {
	steps := make([]string, 0, len(c.Steps))
	for _, s := range c.Steps {
		steps = append(steps, string(s))
	}
	return strings.Join(steps, ",")
}

// CertificateUse controls whether a user logs in with certificates.
//
// +kubebuilder:validation:Enum=Accepted;Refused
type CertificateUse string

// The uses of certificates.
const (
	CertificatesAccepted CertificateUse = "Accepted"
	CertificatesRefused  CertificateUse = "Refused"
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

// PasswordFormat is the form in which a Secret holds a password.
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
	// maxConnections is how many connections this user may have on each pod. It can only lower
	// the listener's limits.maxConnectionsPerUser. Default: that limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxConnections *int32 `json:"maxConnections,omitempty"`
}

// SFTPUserStatus is what the operator last found. Only the operator writes it.
type SFTPUserStatus struct {
	// conditions are Accepted, ResolvedRefs, KeysValid and Ready; wait for Ready. Ready is True
	// when every ready pod of the listener has loaded this login, and some pod is ready. While
	// they are true, there are also Reconciling or Stalled, or Inactive instead of Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
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

	// listener is the listener of the login, as namespace/name if it is in another namespace.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Listener string `json:"listener,omitempty"`

	// address is where the user connects, as host:port.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=280
	Address string `json:"address,omitempty"`

	// knownHosts are lines for an OpenSSH known_hosts file: the host keys of the address,
	// including upcoming and retiring ones. They are for people who hand over the login and may
	// not read the listener.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=10240
	KnownHosts []string `json:"knownHosts,omitempty"`

	// keys are the public keys of this user, including those that cannot be used.
	// +optional
	// +listType=map
	// +listMapKey=fingerprint
	// +kubebuilder:validation:MaxItems=512
	Keys []UserKeyStatus `json:"keys,omitempty"`

	// provedHostKeys are the fingerprints of those host keys of the listener that a client of
	// this user has learned, as OpenSSH's client does after a login: it asked for a proof and
	// got it. If a key that is Advertised is missing here, clients of this user will ask about it,
	// or fail, when it becomes Active, unless they got it in a different way.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	ProvedHostKeys []string `json:"provedHostKeys,omitempty"`

	// lastRefusal is the last login with this user's login name that was refused, by the
	// listener or for its credentials. It is at most about a minute behind for the first
	// refusal, and up to an hour behind while logins continue to be refused. It does not cover
	// clients that named no user or were rejected before that.
	// +optional
	LastRefusal *LoginRefusal `json:"lastRefusal,omitempty"`
}

// LoginRefusal describes the last refused login and counts the refusals.
type LoginRefusal struct {
	// time of the refusal.
	// +required
	Time metav1.Time `json:"time,omitzero"` //nolint:kubeapilinter // the linter takes a Time for a struct

	// reason as in the audit log, for example wrong_password or key_not_registered.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message is what the reason means.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`

	// sourceIP is the address that the client came from, as the pods see it.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=45
	SourceIP string `json:"sourceIP,omitempty"`

	// keyFingerprint is the SHA-256 fingerprint of the last key that the client offered, as
	// OpenSSH prints it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	KeyFingerprint string `json:"keyFingerprint,omitempty"`

	// count is how many were refused since the time in since, as far as pods have reported
	// them; some may be lost when a pod ends. It starts again after a day without a refusal.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Count int32 `json:"count,omitempty"`

	// since is when the first of those in count was refused.
	// +optional
	Since metav1.Time `json:"since,omitempty,omitzero"`
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

	// comment is what follows the key in its line, without unprintable characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Comment string `json:"comment,omitempty"`

	// addedDate is the day, as YYYY-MM-DD in UTC, on which the operator first saw the key with this user.
	// +optional
	AddedDate Date `json:"addedDate,omitempty"`

	// notBefore is the time before which the key is refused; absent if it works at once.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`

	// expirationTime is the time from which the key is refused; absent if it does not expire.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// lastUsedDate is the day, as YYYY-MM-DD in UTC, of the last login with this key. It is absent if
	// the operator knows of none.
	// +optional
	LastUsedDate Date `json:"lastUsedDate,omitempty"`

	// state reports whether the key logs in, and whether it needs attention.
	// +required
	State KeyState `json:"state,omitempty"`
}

// KeyState shows whether a key logs in, and whether it needs attention. Active, Expiring
// and Unused keys log in: Expiring expires within the listener's
// keyPolicy.expiringWithinDays, Unused was not used for keyPolicy.unusedAfterDays. Expired
// and NotYetValid keys do not, because of their validity period, and Weak ones because of
// the listener's cryptoPolicy. AssignedElsewhere is a key that an SFTPKey assigns to
// another user, and Revoked one that the listener's revokedKeys names.
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
