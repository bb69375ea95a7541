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
// +kubebuilder:printcolumn:name="Node Port",type=integer,JSONPath=`.status.nodePort`,priority=1
// +kubebuilder:printcolumn:name="Users",type=integer,JSONPath=`.status.attachedUsers`
// +kubebuilder:printcolumn:name="Can Log In",type=integer,JSONPath=`.status.users.ready`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.status.cryptoPolicy`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Inactive",type=string,JSONPath=`.status.conditions[?(@.type=="Inactive")].reason`
// +kubebuilder:printcolumn:name="Rollout",type=string,JSONPath=`.status.conditions[?(@.type=="RolledOut")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:message="metadata.name must be at most 40 characters: the names of the Service and the Secrets are made from it",rule="self.metadata.name.size() <= 40"
// +kubebuilder:validation:XValidation:message="metadata.name must start with a letter and contain only lower-case letters, digits and '-': it becomes the name of a Service",rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
// +kubebuilder:validation:XValidation:message="a persistentVolumeClaim in spec.volumes must not be the claim <listener>-<volume> of another volume's claimTemplate",rule="self.spec.volumes.all(v, !has(v.persistentVolumeClaim) || !self.spec.volumes.exists(w, has(w.claimTemplate) && v.persistentVolumeClaim.claimName == self.metadata.name + '-' + w.name))"
// +kubebuilder:validation:XValidation:message="the home directories must stay where they are: name their volume in spec.homeDirectory.volume; or move the files, and set spec.homeDirectory.movedFrom to its name",messageExpression="'the home directories must stay where they are, on volume ' + (has(oldSelf.spec.homeDirectory) && has(oldSelf.spec.homeDirectory.volume) ? oldSelf.spec.homeDirectory.volume : oldSelf.spec.volumes[0].name) + ': name it in spec.homeDirectory.volume; or move the files, and set spec.homeDirectory.movedFrom to ' + (has(oldSelf.spec.homeDirectory) && has(oldSelf.spec.homeDirectory.volume) ? oldSelf.spec.homeDirectory.volume : oldSelf.spec.volumes[0].name)",rule="self.spec.volumes.exists(v, v.name == (has(self.spec.homeDirectory) && has(self.spec.homeDirectory.volume) ? self.spec.homeDirectory.volume : self.spec.volumes[0].name) && oldSelf.spec.volumes.exists(w, w.name == (has(oldSelf.spec.homeDirectory) && has(oldSelf.spec.homeDirectory.volume) ? oldSelf.spec.homeDirectory.volume : oldSelf.spec.volumes[0].name) && (has(v.persistentVolumeClaim) ? 'claim ' + v.persistentVolumeClaim.claimName : has(v.claimTemplate) ? 'claim ' + self.metadata.name + '-' + v.name : 'emptyDir ' + v.name) == (has(w.persistentVolumeClaim) ? 'claim ' + w.persistentVolumeClaim.claimName : has(w.claimTemplate) ? 'claim ' + oldSelf.metadata.name + '-' + w.name : 'emptyDir ' + w.name))) || (has(oldSelf.status) && has(oldSelf.status.homeVolume) && self.spec.volumes.exists(v, v.name == (has(self.spec.homeDirectory) && has(self.spec.homeDirectory.volume) ? self.spec.homeDirectory.volume : self.spec.volumes[0].name) && (has(v.persistentVolumeClaim) ? 'claim ' + v.persistentVolumeClaim.claimName : has(v.claimTemplate) ? 'claim ' + self.metadata.name + '-' + v.name : 'emptyDir ' + v.name) == (has(oldSelf.status.homeVolume.claimName) ? 'claim ' + oldSelf.status.homeVolume.claimName : 'emptyDir ' + oldSelf.status.homeVolume.name))) || (has(self.spec.homeDirectory) && has(self.spec.homeDirectory.movedFrom) && self.spec.homeDirectory.movedFrom == (has(oldSelf.spec.homeDirectory) && has(oldSelf.spec.homeDirectory.volume) ? oldSelf.spec.homeDirectory.volume : oldSelf.spec.volumes[0].name) && ((has(self.spec.homeDirectory) && has(self.spec.homeDirectory.volume) ? self.spec.homeDirectory.volume : self.spec.volumes[0].name) != (has(oldSelf.spec.homeDirectory) && has(oldSelf.spec.homeDirectory.volume) ? oldSelf.spec.homeDirectory.volume : oldSelf.spec.volumes[0].name) || !has(oldSelf.spec.homeDirectory) || !has(oldSelf.spec.homeDirectory.movedFrom) || oldSelf.spec.homeDirectory.movedFrom != self.spec.homeDirectory.movedFrom))"
type SFTPListener struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the endpoint.
	// +required
	Spec SFTPListenerSpec `json:"spec,omitzero"`

	// status is what the operator last found. Only the operator writes it.
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

// SFTPListenerSpec describes an endpoint: how it is reached, who may log in, and where files are.
//
// +kubebuilder:validation:XValidation:message="replicas must be 0 or 1 while a volume with a claimTemplate is not ReadWriteMany; add ReadWriteMany to its accessModes or lower replicas",rule="!has(self.replicas) || self.replicas <= 1 || self.volumes.all(v, !has(v.claimTemplate) || (has(v.claimTemplate.accessModes) && 'ReadWriteMany' in v.claimTemplate.accessModes))"
// +kubebuilder:validation:XValidation:message="replicas must be 0 or 1 while a volume is an emptyDir: each pod would have files of its own",rule="!has(self.replicas) || self.replicas <= 1 || self.volumes.all(v, !has(v.emptyDir))"
// +kubebuilder:validation:XValidation:message="volumes must not name the same persistentVolumeClaim twice: use one volume, and homeDirectory or mounts of users with a subPath",rule="self.volumes.all(v, !has(v.persistentVolumeClaim) || self.volumes.exists_one(w, has(w.persistentVolumeClaim) && w.persistentVolumeClaim.claimName == v.persistentVolumeClaim.claimName))"
// +kubebuilder:validation:XValidation:message="homeDirectory.volume must name an entry of volumes",rule="!has(self.homeDirectory) || !has(self.homeDirectory.volume) || self.volumes.exists(v, v.name == self.homeDirectory.volume)"
// +kubebuilder:validation:XValidation:message="cryptoPolicy Legacy2026 must have cryptoPolicyExpirationTime and allowedCIDRs: it is a temporary exception, for the networks of the clients that need it",rule="!has(self.cryptoPolicy) || self.cryptoPolicy != 'Legacy2026' || (has(self.cryptoPolicyExpirationTime) && has(self.allowedCIDRs))"
// +kubebuilder:validation:XValidation:message="cryptoPolicyExpirationTime must be before 2031: Legacy2026 is a temporary exception",rule="!has(self.cryptoPolicyExpirationTime) || self.cryptoPolicyExpirationTime < timestamp('2031-01-01T00:00:00Z')"
// +kubebuilder:validation:XValidation:message="allowedCIDRs must not contain networks larger than /8 (IPv4) or /24 (IPv6) with cryptoPolicy Legacy2026: name the networks of the clients that need it",rule="!has(self.cryptoPolicy) || self.cryptoPolicy != 'Legacy2026' || !has(self.allowedCIDRs) || self.allowedCIDRs.all(c, !isCIDR(c) || cidr(c).prefixLength() >= (cidr(c).ip().family() == 4 ? 8 : 24))"
// +kubebuilder:validation:XValidation:message="cryptoPolicyExpirationTime may be set only with cryptoPolicy Legacy2026: the other policies do not end",rule="!has(self.cryptoPolicyExpirationTime) || (has(self.cryptoPolicy) && self.cryptoPolicy == 'Legacy2026')"
// +kubebuilder:validation:XValidation:message="allowedCIDRs may be set with service.externalTrafficPolicy Cluster only if proxyProtocol.mode is Required: otherwise the pods see the addresses of nodes, not of clients",rule="!has(self.allowedCIDRs) || !has(self.service) || !has(self.service.externalTrafficPolicy) || self.service.externalTrafficPolicy != 'Cluster' || (has(self.proxyProtocol) && has(self.proxyProtocol.mode) && self.proxyProtocol.mode == 'Required')"
// +kubebuilder:validation:XValidation:message="sources.penalties may be Enabled with service.externalTrafficPolicy Cluster only if proxyProtocol.mode is Required: otherwise one client's penalty would affect all",rule="!has(self.sources) || !has(self.sources.penalties) || self.sources.penalties != 'Enabled' || !has(self.service) || !has(self.service.externalTrafficPolicy) || self.service.externalTrafficPolicy != 'Cluster' || (has(self.proxyProtocol) && has(self.proxyProtocol.mode) && self.proxyProtocol.mode == 'Required')"
// +kubebuilder:validation:XValidation:message="each of the volumes in allowedUsers.rules must name an entry of volumes",rule="!has(self.allowedUsers) || !has(self.allowedUsers.rules) || self.allowedUsers.rules.all(r, !has(r.volumes) || r.volumes.all(v, self.volumes.exists(w, w.name == v.name)))"
// +kubebuilder:validation:XValidation:message="maxUsers in allowedUsers.rules must not be above maxUsers (1000 unless set)",rule="!has(self.allowedUsers) || !has(self.allowedUsers.rules) || self.allowedUsers.rules.all(r, !has(r.maxUsers) || r.maxUsers <= (has(self.maxUsers) ? self.maxUsers : 1000))"
// +kubebuilder:validation:XValidation:message="maxConnections in allowedUsers.rules must not be above limits.maxConnections (500 unless set)",rule="!has(self.allowedUsers) || !has(self.allowedUsers.rules) || self.allowedUsers.rules.all(r, !has(r.maxConnections) || r.maxConnections <= (has(self.limits) && has(self.limits.maxConnections) ? self.limits.maxConnections : 500))"
// +kubebuilder:validation:XValidation:message="methods in allowedUsers.rules must be among authentication.allowedMethods: the listener offers no others",rule="!has(self.allowedUsers) || !has(self.allowedUsers.rules) || !has(self.authentication) || !has(self.authentication.allowedMethods) || self.allowedUsers.rules.all(r, !has(r.methods) || r.methods.all(m, m in self.authentication.allowedMethods))"
// +kubebuilder:validation:XValidation:message="each volume in retention.rules must name an entry of volumes",rule="!has(self.retention) || !has(self.retention.rules) || self.retention.rules.all(r, !has(r.volume) || self.volumes.exists(v, v.name == r.volume))"
// +kubebuilder:validation:XValidation:message="each volume in retention.holds must name an entry of volumes",rule="!has(self.retention) || !has(self.retention.holds) || self.retention.holds.all(h, !has(h.volume) || self.volumes.exists(v, v.name == h.volume))"
type SFTPListenerSpec struct {
	// replicas is the number of pods. More than one needs volumes that several nodes can
	// mount (ReadWriteMany). 0 keeps everything but serves no users. Default 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=50
	Replicas *int32 `json:"replicas,omitempty"`

	// maxUsers is the number of logins that this listener can hold. It determines how
	// many Secrets carry them, one for each 625, so raising it restarts the pods once;
	// adding users up to the limit never does. Default 1000.
	// +optional
	// +kubebuilder:default=1000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=40000
	MaxUsers *int32 `json:"maxUsers,omitempty"`

	// hostnames are the names and addresses by which partners reach this endpoint, in
	// addition to those of its Service: they appear first in status.addresses and in
	// status.knownHosts. They do not configure DNS. Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Hostnames []Host `json:"hostnames,omitempty"`

	// service is how the endpoint is exposed. Default: a Service of type ClusterIP with port 22,
	// which only clients inside the cluster can reach.
	// +optional
	Service ListenerService `json:"service,omitempty,omitzero"`

	// allowedUsers is who may attach logins. Default: SFTPUsers of the listener's namespace.
	// +optional
	AllowedUsers AllowedUsers `json:"allowedUsers,omitempty,omitzero"`

	// authentication is how clients may log in. Default: with a public key or a password,
	// whichever the user has.
	// +optional
	Authentication ListenerAuthentication `json:"authentication,omitempty,omitzero"`

	// revokedKeys are public keys and certificates that must not log in, whichever users
	// have them, for example lost ones. Sessions that they opened are closed. Default: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=512
	RevokedKeys []RevokedKey `json:"revokedKeys,omitempty"`

	// revokedKeysSecretRefs add to revokedKeys from files in Secrets in the listener's
	// namespace: one public key or SHA-256 fingerprint per line, like sshd's RevokedKeys; or a
	// KRL from ssh-keygen -k, including CA serial numbers, ranges and key IDs. A listener can
	// have at most 4096 in total. While a file is missing or damaged, everything that was
	// revoked stays revoked.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	RevokedKeysSecretRefs []SecretFileReference `json:"revokedKeysSecretRefs,omitempty"`

	// hostKeyRefs name SFTPKeys of usage Host in the listener's namespace. Without them the
	// operator makes one Ed25519 key, SFTPKey <listener>-ed25519, and with cryptoPolicy
	// Legacy2026 also an RSA key, SFTPKey <listener>-rsa, and keeps them. If several keys have
	// the same type, the first is used, and the others are spares: clients learn them in
	// advance, so that one can take over when the first is removed. Every change to this list is
	// a rotation: a new key is announced for the overlapSeconds of its SFTPKey before it is
	// used, and status.hostKeys shows the progress.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	HostKeyRefs []LocalKeyReference `json:"hostKeyRefs,omitempty"`

	// cryptoPolicy is the named, dated set of algorithms that the endpoint offers. A set never
	// changes; new years bring new names. Modern2026 serves all current clients. Strict2026 has
	// only post-quantum and curve25519 key exchange and authenticated encryption; Fips2026 has
	// what FIPS 140 allows. Legacy2026 has SHA-1 for old appliances, and must have
	// cryptoPolicyExpirationTime, and allowedCIDRs with networks of at most /8 (IPv4) or /24
	// (IPv6). Default Modern2026.
	// +optional
	// +kubebuilder:default=Modern2026
	CryptoPolicy CryptoPolicy `json:"cryptoPolicy,omitempty"`

	// cryptoPolicyExpirationTime is when Legacy2026 ends, for example 2027-01-31T00:00:00Z, in
	// 2030 at the latest: from then on new connections are offered Modern2026. It must be set
	// with Legacy2026, and only then. The policy in effect is in status.cryptoPolicy.
	// +optional
	CryptoPolicyExpirationTime *metav1.Time `json:"cryptoPolicyExpirationTime,omitempty"`

	// softwareVersion is what the endpoint calls itself in its SSH identification, after
	// "SSH-2.0-". Default sftpd, which reveals no version. Clients infer behavior from the
	// names of other products.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:message="softwareVersion must contain only printable ASCII characters other than blank and '-' (RFC 4253 section 4.2)",rule="self.matches('^[!-,./-~]+$')"
	SoftwareVersion string `json:"softwareVersion,omitempty"`

	// allowedCIDRs are the networks whose clients may connect. Default: all. Others are
	// rejected before the key exchange.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	AllowedCIDRs []Network `json:"allowedCIDRs,omitempty"`

	// proxyProtocol takes clients' addresses from a load balancer that speaks the PROXY
	// protocol. Default: a client's address is that of its connection.
	// +optional
	ProxyProtocol ListenerProxyProtocol `json:"proxyProtocol,omitempty,omitzero"`

	// sources control how clients that misbehave are blocked, by address.
	// +optional
	Sources ListenerSources `json:"sources,omitempty,omitzero"`

	// uploads control what happens to files that clients write.
	// +optional
	Uploads ListenerUploads `json:"uploads,omitempty,omitzero"`

	// retention deletes files some time after their upload. Hidden files of interrupted uploads are deleted even
	// without it.
	// +optional
	Retention ListenerRetention `json:"retention,omitempty,omitzero"`

	// volumes hold the files. The first is the home volume unless homeDirectory says
	// otherwise. A change that would put the homes on another volume or claim is refused
	// unless homeDirectory.movedFrom asks for it.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Volumes []ListenerVolume `json:"volumes,omitempty"`

	// volumeClaimRetention is what happens to the claims that were made from a
	// claimTemplate when the listener is deleted. Retain keeps them and the files.
	// Default Retain.
	// +optional
	// +kubebuilder:default=Retain
	VolumeClaimRetention RetentionPolicy `json:"volumeClaimRetention,omitempty"`

	// homeDirectory is where users' home directories are.
	// +optional
	HomeDirectory ListenerHomeDirectory `json:"homeDirectory,omitempty,omitzero"`

	// keyPolicy controls when users' keys are reported as expiring or unused. It refuses no login.
	// +optional
	KeyPolicy ListenerKeyPolicy `json:"keyPolicy,omitempty,omitzero"`

	// limits bound what clients may use, for each pod. Default: 500 connections, 10 of one user.
	// +optional
	Limits ListenerLimits `json:"limits,omitempty,omitzero"`

	// shutdown controls how a pod terminates.
	// +optional
	Shutdown ListenerShutdown `json:"shutdown,omitempty,omitzero"`

	// tracing sends traces of sessions to an OpenTelemetry collector. Default: none.
	// +optional
	Tracing ListenerTracing `json:"tracing,omitempty,omitzero"`

	// events delivers events about files and logins to receivers over HTTP. Default: none.
	// +optional
	Events *ListenerEvents `json:"events,omitempty"`

	// infrastructure adjusts the pods and objects that the operator creates.
	// +optional
	Infrastructure ListenerInfrastructure `json:"infrastructure,omitempty,omitzero"`
}

// SFTPListenerStatus is what the operator last found. Only the operator writes it.
type SFTPListenerStatus struct {
	// conditions are Accepted, ResolvedRefs, ObjectsApplied, Programmed, RolledOut, VolumesWritable,
	// with events EventsDelivered, with receipts ReceiptsAvailable, and Ready; wait for Ready. While they are true, there are also
	// RetentionHalted, Reconciling or Stalled, or Inactive instead of Ready.
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

	// nodePort is the port of the nodes on which clients reach the Service, of type NodePort or
	// LoadBalancer; absent if it has none. With externalTrafficPolicy Local only nodes with a
	// ready pod answer.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort int32 `json:"nodePort,omitempty"`

	// hostKeys are the public halves of the host keys that the pods have; those that key
	// exchanges use come first.
	// +optional
	// +listType=map
	// +listMapKey=fingerprint
	// +kubebuilder:validation:MaxItems=16
	HostKeys []HostKeyStatus `json:"hostKeys,omitempty"`

	// knownHosts are lines for an OpenSSH known_hosts file, one for each host key and
	// address, including upcoming and retiring keys. The ConfigMap
	// <listener>-sftp-known-hosts has the same under known_hosts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=10240
	KnownHosts []string `json:"knownHosts,omitempty"`

	// sshfp are the data of SSHFP resource records (RFC 4255) for the names of the endpoint,
	// one for each host key that clients may be shown or told about: key algorithm,
	// fingerprint type 2 (SHA-256, RFC 6594) and fingerprint. A zone file has them after
	// <name> IN SSHFP.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	SSHFP []string `json:"sshfp,omitempty"`

	// receipts shows the keys that receipts for uploads are signed with.
	// +optional
	Receipts *ListenerReceiptsStatus `json:"receipts,omitempty"`

	// cryptoPolicy is the policy in effect: that of the spec, or Modern2026 once
	// Legacy2026 has ended.
	// +optional
	CryptoPolicy CryptoPolicy `json:"cryptoPolicy,omitempty"`

	// cryptoPolicyExpirationTime is when the policy in effect ends, if it does.
	// +optional
	CryptoPolicyExpirationTime *metav1.Time `json:"cryptoPolicyExpirationTime,omitempty"`

	// effective has the settings in effect, by their names in the spec: its own values, and the
	// operator's defaults for fields that are not set. Another version of the operator may have
	// other defaults; those in the schema do not change.
	// +optional
	Effective ListenerEffective `json:"effective,omitempty,omitzero"`

	// platformDefaults are the values that the platform chose for fields that the spec
	// does not set.
	// +optional
	// +listType=map
	// +listMapKey=field
	// +kubebuilder:validation:MaxItems=32
	PlatformDefaults []PlatformDefault `json:"platformDefaults,omitempty"`

	// homeVolume is the volume with the home directories. It stays the same until
	// spec.homeDirectory.movedFrom confirms that the files were moved.
	// +optional
	HomeVolume *HomeVolume `json:"homeVolume,omitempty"`

	// attachedUsers is the number of logins that the listener accepted.
	// +optional
	// +kubebuilder:validation:Minimum=0
	AttachedUsers *int32 `json:"attachedUsers,omitempty"`

	// users counts the logins by state.
	// +optional
	Users *ListenerUsers `json:"users,omitempty"`

	// replicas is the number of pods, for the scale subresource.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// pendingRestart is a pending change to the pods, with what it will interrupt.
	// +optional
	PendingRestart *ListenerPendingRestart `json:"pendingRestart,omitempty"`

	// events has the state of each sink.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Events []EventSinkStatus `json:"events,omitempty"`

	// selector selects the pods, for the scale subresource.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Selector string `json:"selector,omitempty"`

	// retention describes the last run of each retention rule on each of its volumes.
	// +optional
	// +listType=map
	// +listMapKey=rule
	// +listMapKey=volume
	// +kubebuilder:validation:MaxItems=48
	Retention []RetentionRun `json:"retention,omitempty"`

	// configDigest is the digest of the configuration that every ready pod has
	// loaded, as the pods' /configz shows it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	ConfigDigest string `json:"configDigest,omitempty"`
}

// PlatformDefault is a value that the platform chose.
type PlatformDefault struct {
	// field of the listener, for example spec.service.ipFamilyPolicy.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Field string `json:"field,omitempty"`

	// value of the field.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Value string `json:"value,omitempty"`
}

// ListenerUsers counts the SFTPUsers that name a listener, those that it does not accept included.
type ListenerUsers struct {
	// ready is the number of those that can log in.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Ready *int32 `json:"ready,omitempty"`

	// inactive is the number of those that are meant not to log in, such as suspended ones.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Inactive *int32 `json:"inactive,omitempty"`

	// notReady is the number of those that are meant to log in and cannot, now or until
	// someone corrects something.
	// +optional
	// +kubebuilder:validation:Minimum=0
	NotReady *int32 `json:"notReady,omitempty"`

	// reasons count those that cannot log in by the reason of their condition Ready or
	// Inactive, the most frequent first.
	// +optional
	// +listType=map
	// +listMapKey=reason
	// +kubebuilder:validation:MaxItems=16
	Reasons []UserReason `json:"reasons,omitempty"` //nolint:kubeapilinter // only the operator writes it, like everything called Status
}

// UserReason counts the users that have a reason.
type UserReason struct {
	// reason of the condition that keeps these users from logging in.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// users is how many users have this reason.
	// +required
	// +kubebuilder:validation:Minimum=1
	Users int32 `json:"users,omitempty"`
}

// ListenerAddress is one address that clients connect to.
type ListenerAddress struct {
	// type is the kind of value.
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
