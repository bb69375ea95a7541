package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// HostKeyStatus is a host key's public key and the progress of its rotation.
type HostKeyStatus struct {
	// name is the SFTPKey's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// revision is the revision of the SFTPKey, if the operator generated the key.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Revision int32 `json:"revision,omitempty"`

	// algorithm is the key type as SSH names it, for example ssh-ed25519.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Algorithm string `json:"algorithm,omitempty"`

	// fingerprint is the SHA-256 fingerprint as OpenSSH prints it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// publicKey is the key in the format of authorized_keys.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	PublicKey string `json:"publicKey,omitempty"`

	// state is the key's state in its rotation. Without it, it is Active.
	// +optional
	State HostKeyState `json:"state,omitempty"`

	// stateTime is when it entered the state.
	// +optional
	StateTime *metav1.Time `json:"stateTime,omitempty"`

	// nextStateTime is when the state changes automatically: an Advertised key becomes
	// Active, a Retiring one is removed.
	// +optional
	NextStateTime *metav1.Time `json:"nextStateTime,omitempty"`

	// waitingFor is what the change of state waits for, unless that is a time.
	// +optional
	WaitingFor HostKeyWait `json:"waitingFor,omitempty"`

	// provedUsers is the number of attached users with a client that asked for a proof of
	// this key, as OpenSSH's does when it learns a key. Users who know it from elsewhere, or
	// from the key exchange, are not counted. SFTPUser.status.provedHostKeys shows who they
	// are.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ProvedUsers *int32 `json:"provedUsers,omitempty"`

	// certificateExpirationTime is when the host certificate that the pods present with this
	// key expires, if there is one and it expires.
	// +optional
	CertificateExpirationTime *metav1.Time `json:"certificateExpirationTime,omitempty"`
}

// HostKeyState is the state of a host key in its rotation. Staged keys are in the pods, but not announced to
// clients. Advertised ones are announced (hostkeys-00@openssh.com), so that clients that support that learn
// them; if no Active or Retiring key has their type, they are used for clients that can use no other. An
// Active one is used in key exchanges; there is one of each type. A Retiring one was Active: it is still
// announced, so that there is a way back, and used if no Active key has its type.
//
// +kubebuilder:validation:Enum=Staged;Advertised;Active;Retiring
type HostKeyState string

// The states of host keys.
const (
	HostKeyStaged     HostKeyState = "Staged"
	HostKeyAdvertised HostKeyState = "Advertised"
	HostKeyActive     HostKeyState = "Active"
	HostKeyRetiring   HostKeyState = "Retiring"
)

// HostKeyWait is what a host key waits for. Pods: every ready pod, and at least one, must
// load the current state. RetiringKey: another key is Retiring, and clients must not lose two
// at once. NewKey: the keys that take its place have to be Active.
//
// +kubebuilder:validation:Enum=Pods;RetiringKey;NewKey
type HostKeyWait string

// What host keys wait for.
const (
	HostKeyWaitPods        HostKeyWait = "Pods"
	HostKeyWaitRetiringKey HostKeyWait = "RetiringKey"
	HostKeyWaitNewKey      HostKeyWait = "NewKey"
)
