package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SFTPListener is one SFTP endpoint: a Service, the pods behind it, their host
// keys and volumes, and the rules for who may attach a login to it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:shortName=sftpl,categories=sftp
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.addresses[0].value`
// +kubebuilder:printcolumn:name="Port",type=integer,JSONPath=`.status.addresses[0].port`
// +kubebuilder:printcolumn:name="Users",type=integer,JSONPath=`.status.attachedUsers`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.status.cryptoPolicy`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Rollout",type=string,JSONPath=`.status.conditions[?(@.type=="RolledOut")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:message="metadata.name must be at most 40 characters: the names of the Service and the Secrets are made from it",rule="self.metadata.name.size() <= 40"
// +kubebuilder:validation:XValidation:message="metadata.name must start with a letter and contain only lower-case letters, digits and '-': it becomes the name of a Service",rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
// +kubebuilder:validation:XValidation:message="spec.volumes must not name as persistentVolumeClaim the claim <listener>-<volume> of another volume's claimTemplate",rule="self.spec.volumes.all(v, !has(v.persistentVolumeClaim) || !self.spec.volumes.exists(w, has(w.claimTemplate) && v.persistentVolumeClaim.claimName == self.metadata.name + '-' + w.name))"
type SFTPListener struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the endpoint that is wanted.
	// +required
	Spec SFTPListenerSpec `json:"spec,omitzero"`

	// status is the endpoint as it was last seen.
	// +optional
	// +kubebuilder:default={conditions: {{type: "Accepted", status: "Unknown", reason: "Pending", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"},{type: "ResolvedRefs", status: "Unknown", reason: "Pending", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"},{type: "Programmed", status: "Unknown", reason: "Pending", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"},{type: "Ready", status: "Unknown", reason: "Pending", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	Status SFTPListenerStatus `json:"status,omitempty,omitzero"`
}

// SFTPListenerList is a list of SFTPListeners.
//
// +kubebuilder:object:root=true
type SFTPListenerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SFTPListener `json:"items"`
}

// SFTPListenerSpec is the endpoint that is wanted.
//
// +kubebuilder:validation:XValidation:message="replicas must be 0 or 1 while a volume with a claimTemplate is not ReadWriteMany; add ReadWriteMany to its accessModes or lower replicas",rule="!has(self.replicas) || self.replicas <= 1 || self.volumes.all(v, !has(v.claimTemplate) || (has(v.claimTemplate.accessModes) && 'ReadWriteMany' in v.claimTemplate.accessModes))"
// +kubebuilder:validation:XValidation:message="replicas must be 0 or 1 while a volume is an emptyDir: each pod would have files of its own",rule="!has(self.replicas) || self.replicas <= 1 || self.volumes.all(v, !has(v.emptyDir))"
// +kubebuilder:validation:XValidation:message="volumes must not name the same persistentVolumeClaim twice: use one volume, and homeDirectory or mounts of users with a subPath",rule="self.volumes.all(v, !has(v.persistentVolumeClaim) || self.volumes.exists_one(w, has(w.persistentVolumeClaim) && w.persistentVolumeClaim.claimName == v.persistentVolumeClaim.claimName))"
// +kubebuilder:validation:XValidation:message="homeDirectory.volume must name an entry of volumes",rule="!has(self.homeDirectory) || !has(self.homeDirectory.volume) || self.volumes.exists(v, v.name == self.homeDirectory.volume)"
// +kubebuilder:validation:XValidation:message="cryptoPolicy Legacy2026 must have cryptoPolicyExpirationTime and allowedCIDRs: it is an exception for a while, for the networks of the clients that need it",rule="!has(self.cryptoPolicy) || self.cryptoPolicy != 'Legacy2026' || (has(self.cryptoPolicyExpirationTime) && has(self.allowedCIDRs))"
// +kubebuilder:validation:XValidation:message="allowedCIDRs must not contain networks larger than /8 (IPv4) or /24 (IPv6) with cryptoPolicy Legacy2026: name the networks of the clients that need it",rule="!has(self.cryptoPolicy) || self.cryptoPolicy != 'Legacy2026' || !has(self.allowedCIDRs) || self.allowedCIDRs.all(c, !isCIDR(c) || cidr(c).prefixLength() >= (cidr(c).ip().family() == 4 ? 8 : 24))"
// +kubebuilder:validation:XValidation:message="cryptoPolicyExpirationTime may be set only with cryptoPolicy Legacy2026: the other policies do not end",rule="!has(self.cryptoPolicyExpirationTime) || (has(self.cryptoPolicy) && self.cryptoPolicy == 'Legacy2026')"
// +kubebuilder:validation:XValidation:message="allowedCIDRs may be set with service.externalTrafficPolicy Cluster only if proxyProtocol.mode is Required: otherwise the pods see the addresses of nodes, not of clients",rule="!has(self.allowedCIDRs) || !has(self.service) || !has(self.service.externalTrafficPolicy) || self.service.externalTrafficPolicy != 'Cluster' || (has(self.proxyProtocol) && has(self.proxyProtocol.mode) && self.proxyProtocol.mode == 'Required')"
// +kubebuilder:validation:XValidation:message="sources.penalties may be Enabled with service.externalTrafficPolicy Cluster only if proxyProtocol.mode is Required: otherwise one client's penalty would hit all",rule="!has(self.sources) || !has(self.sources.penalties) || self.sources.penalties != 'Enabled' || !has(self.service) || !has(self.service.externalTrafficPolicy) || self.service.externalTrafficPolicy != 'Cluster' || (has(self.proxyProtocol) && has(self.proxyProtocol.mode) && self.proxyProtocol.mode == 'Required')"
type SFTPListenerSpec struct {
	// replicas is the number of pods. More than one needs volumes that several
	// nodes can mount (ReadWriteMany). 0 keeps everything but serves nobody.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=50
	Replicas *int32 `json:"replicas,omitempty"`

	// maxUsers is the number of logins that this listener can hold. It fixes how
	// many Secrets carry them, one for each 625, so raising it restarts the pods
	// once, while adding users up to it never does.
	// +optional
	// +kubebuilder:default=1000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=40000
	MaxUsers *int32 `json:"maxUsers,omitempty"`

	// hostnames are names and addresses under which partners reach this endpoint,
	// beside those of its Service: they appear first in status.addresses and in
	// status.knownHosts. They configure no DNS.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Hostnames []Host `json:"hostnames,omitempty"`

	// service is how the endpoint is exposed.
	// +optional
	Service ListenerService `json:"service,omitempty,omitzero"`

	// allowedUsers is who may attach logins.
	// +optional
	AllowedUsers AllowedUsers `json:"allowedUsers,omitempty,omitzero"`

	// authentication is how clients may log in.
	// +optional
	Authentication ListenerAuthentication `json:"authentication,omitempty,omitzero"`

	// revokedKeys are public keys that log nobody in, whichever users have them: lost ones,
	// above all. Sessions that they opened are closed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=512
	RevokedKeys []RevokedKey `json:"revokedKeys,omitempty"`

	// revokedKeysSecretRefs are more of revokedKeys, as files in Secrets in the listener's
	// namespace: a public key or its SHA-256 fingerprint a line, as sshd's RevokedKeys; or a
	// KRL that ssh-keygen -k made, whose CA serial numbers, ranges and key IDs count, too. All
	// of a listener together are at most 4096. While a file is missing or damaged,
	// everything stays revoked that was.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	RevokedKeysSecretRefs []SecretFileReference `json:"revokedKeysSecretRefs,omitempty"`

	// hostKeyRefs name SFTPKeys of usage Host in the listener's namespace. Without
	// them the operator makes one Ed25519 key, SFTPKey <listener>-ed25519, and keeps
	// it. Of several keys of one type the first is used, and the others are spares: clients
	// are told of them, so that one can take over when the first is taken away. Every change
	// of this list is a rotation: a new key is announced for the overlapSeconds of its SFTPKey
	// before it is used, and status.hostKeys shows how far that is.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	HostKeyRefs []LocalKeyReference `json:"hostKeyRefs,omitempty"`

	// cryptoPolicy is the named, dated set of algorithms that the endpoint offers.
	// A set never changes; new years bring new names. Modern2026 serves all clients of
	// today. Strict2026 has post-quantum and curve25519 key exchange and authenticated
	// encryption alone; Fips2026 what FIPS 140 allows. Legacy2026 has SHA-1 for old
	// appliances, and must have cryptoPolicyExpirationTime, and allowedCIDRs with networks of at
	// most /8 (IPv4) or /24 (IPv6).
	// +optional
	// +kubebuilder:default=Modern2026
	CryptoPolicy CryptoPolicy `json:"cryptoPolicy,omitempty"`

	// cryptoPolicyExpirationTime is when Legacy2026 ends: from then on new connections
	// are offered Modern2026. The policy in effect is in status.cryptoPolicy.
	// +optional
	CryptoPolicyExpirationTime *metav1.Time `json:"cryptoPolicyExpirationTime,omitempty"`

	// softwareVersion is what the endpoint calls itself in its SSH identification, after
	// "SSH-2.0-". Default sftpd, which tells no version. Clients conclude on behaviour
	// from names of other products.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:message="softwareVersion must have only printable ASCII characters other than blank and '-' (RFC 4253 section 4.2)",rule="self.matches('^[!-,./-~]+$')"
	SoftwareVersion string `json:"softwareVersion,omitempty"`

	// allowedCIDRs are the networks whose clients may connect. Default: all. Others are
	// turned away before the key exchange.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	AllowedCIDRs []Network `json:"allowedCIDRs,omitempty"`

	// proxyProtocol takes clients' addresses from a load balancer that speaks the PROXY
	// protocol.
	// +optional
	ProxyProtocol ListenerProxyProtocol `json:"proxyProtocol,omitempty,omitzero"`

	// sources are how clients that misbehave are kept away, by their addresses.
	// +optional
	Sources ListenerSources `json:"sources,omitempty,omitzero"`

	// uploads are what becomes of files that clients write.
	// +optional
	Uploads ListenerUploads `json:"uploads,omitempty,omitzero"`

	// volumes hold the files. The first is the home volume unless homeDirectory says
	// otherwise.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Volumes []ListenerVolume `json:"volumes,omitempty"`

	// volumeClaimRetention is what happens to the claims that were made from a
	// claimTemplate when the listener is deleted. Retain keeps them and the files.
	// +optional
	// +kubebuilder:default=Retain
	VolumeClaimRetention RetentionPolicy `json:"volumeClaimRetention,omitempty"`

	// homeDirectory is where users' home directories are.
	// +optional
	HomeDirectory ListenerHomeDirectory `json:"homeDirectory,omitempty,omitzero"`

	// keyPolicy says when users' keys are worth a look.
	// +optional
	KeyPolicy ListenerKeyPolicy `json:"keyPolicy,omitempty,omitzero"`

	// limits bound what clients may use, for each pod.
	// +optional
	Limits ListenerLimits `json:"limits,omitempty,omitzero"`

	// shutdown is how a pod ends.
	// +optional
	Shutdown ListenerShutdown `json:"shutdown,omitempty,omitzero"`

	// tracing sends traces of sessions to a collector of OpenTelemetry. Default: none.
	// +optional
	Tracing ListenerTracing `json:"tracing,omitempty,omitzero"`

	// infrastructure adjusts the pods and objects that the operator makes.
	// +optional
	Infrastructure ListenerInfrastructure `json:"infrastructure,omitempty,omitzero"`
}

// SFTPListenerStatus is the endpoint as it was last seen.
type SFTPListenerStatus struct {
	// conditions are Accepted, ResolvedRefs, ObjectsApplied, Programmed, RolledOut, VolumesWritable and
	// Ready; wait for Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the status describes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// addresses are where clients connect, the best one first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Addresses []ListenerAddress `json:"addresses,omitempty"`

	// hostKeys are the public halves of the host keys that the pods have, those first that
	// key exchanges use.
	// +optional
	// +listType=map
	// +listMapKey=fingerprint
	// +kubebuilder:validation:MaxItems=16
	HostKeys []HostKeyStatus `json:"hostKeys,omitempty"`

	// knownHosts are lines for an OpenSSH known_hosts file, one for each host key and
	// address, keys that are still to come and that are about to go included. The ConfigMap
	// <listener>-sftp-known-hosts has the same under known_hosts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=10240
	KnownHosts []string `json:"knownHosts,omitempty"`

	// sshfp are the data of SSHFP resource records (RFC 4255) for the names of the endpoint,
	// one for each host key that clients may meet or are told of: key algorithm, fingerprint
	// type 2 (SHA-256, RFC 6594) and fingerprint. A zone file has them after
	// <name> IN SSHFP.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	SSHFP []string `json:"sshfp,omitempty"`

	// cryptoPolicy is the policy in effect: that of the spec, or Modern2026 once
	// Legacy2026 has ended.
	// +optional
	CryptoPolicy CryptoPolicy `json:"cryptoPolicy,omitempty"`

	// cryptoPolicyExpirationTime is when the policy in effect ends, if it does.
	// +optional
	CryptoPolicyExpirationTime *metav1.Time `json:"cryptoPolicyExpirationTime,omitempty"`

	// attachedUsers is the number of logins that the listener accepted.
	// +optional
	// +kubebuilder:validation:Minimum=0
	AttachedUsers *int32 `json:"attachedUsers,omitempty"`

	// replicas is the number of pods, for the scale subresource.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// pendingRestart is a change of the pods that waits, and whom it will disturb.
	// +optional
	PendingRestart *ListenerPendingRestart `json:"pendingRestart,omitempty"`

	// selector selects the pods, for the scale subresource.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Selector string `json:"selector,omitempty"`

	// configDigest is the digest of the configuration that every ready pod has
	// loaded, as the pods' /configz shows it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	ConfigDigest string `json:"configDigest,omitempty"`
}

// ListenerAddress is one address that clients connect to.
type ListenerAddress struct {
	// type says what value is.
	// +required
	Type AddressType `json:"type,omitempty"`

	// value is a host name or an IP address.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Value string `json:"value,omitempty"`

	// port is the TCP port.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// AddressType is the kind of a listener's address.
//
// +kubebuilder:validation:Enum=Hostname;IPAddress
type AddressType string

// The kinds of addresses.
const (
	AddressHostname  AddressType = "Hostname"
	AddressIPAddress AddressType = "IPAddress"
)
