package v1alpha1

// ListenerService is how an endpoint is exposed.
//
// +kubebuilder:validation:XValidation:message="nodePort may be set only with type NodePort or LoadBalancer",rule="!has(self.nodePort) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])"
// +kubebuilder:validation:XValidation:message="externalTrafficPolicy may be set only with type NodePort or LoadBalancer",rule="!has(self.externalTrafficPolicy) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])"
// +kubebuilder:validation:XValidation:message="loadBalancerClass and loadBalancerSourceRanges may be set only with type LoadBalancer",rule="(!has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges)) || (has(self.type) && self.type == 'LoadBalancer')"
// +kubebuilder:validation:XValidation:message="loadBalancerClass must not be changed while type is LoadBalancer, because Services do not allow it: set type to ClusterIP in between, or make a new listener",rule="!has(self.type) || self.type != 'LoadBalancer' || !has(oldSelf.type) || oldSelf.type != 'LoadBalancer' || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))"
// +kubebuilder:validation:XValidation:message="ipFamilies may name both families only with ipFamilyPolicy PreferDualStack or RequireDualStack",rule="!has(self.ipFamilies) || size(self.ipFamilies) == 1 || (has(self.ipFamilyPolicy) && self.ipFamilyPolicy != 'SingleStack')"
// +kubebuilder:validation:XValidation:message="loadBalancerNodePorts may be set only with type LoadBalancer, and Omit only without nodePort",rule="!has(self.loadBalancerNodePorts) || (has(self.type) && self.type == 'LoadBalancer' && (self.loadBalancerNodePorts != 'Omit' || !has(self.nodePort)))"
// +kubebuilder:validation:XValidation:message="sessionAffinityTimeoutSeconds may be set only with sessionAffinity ClientIP",rule="!has(self.sessionAffinityTimeoutSeconds) || (has(self.sessionAffinity) && self.sessionAffinity == 'ClientIP')"
type ListenerService struct {
	// type of the Service: ClusterIP can be reached only from inside the cluster, NodePort also
	// on a port of each node, and LoadBalancer also through a load balancer that the cluster
	// provides. Default ClusterIP.
	// +optional
	// +kubebuilder:default=ClusterIP
	Type ServiceType `json:"type,omitempty"`

	// port is the TCP port of the Service. The pods always listen on 2222, because
	// they run without privileges. Default 22.
	// +optional
	// +kubebuilder:default=22
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// nodePort requests a port on the nodes; the cluster assigns one when unset. It must be
	// in the cluster's range, by default 30000 to 32767: the condition ObjectsApplied is
	// False if it is outside the range or taken.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort *int32 `json:"nodePort,omitempty"`

	// externalTrafficPolicy is Local, which keeps the client's address for the audit log,
	// allowedCIDRs and the from of keys; or Cluster, which spreads connections over all nodes and
	// hides the address. That also turns off the penalties that slow down password guessing.
	// Default Local, for types NodePort and LoadBalancer.
	// +optional
	ExternalTrafficPolicy TrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// loadBalancerClass selects a load balancer implementation, for example
	// example.com/internal. It cannot be changed while the Service's type is
	// LoadBalancer.
	// +optional
	LoadBalancerClass QualifiedName `json:"loadBalancerClass,omitempty"`

	// loadBalancerSourceRanges are the networks that a load balancer accepts connections
	// from, if it supports that.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	LoadBalancerSourceRanges []Network `json:"loadBalancerSourceRanges,omitempty"`

	// annotations are added to the Service, for a load balancer or external-dns.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:message="each key must be a name of at most 63 letters, digits, '-', '_' and '.', alone or after a DNS name of at most 253 characters and a '/', for example example.com/team",rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && k.indexOf('/') <= 253)"
	// +kubebuilder:validation:XValidation:message="keys must not begin with sftp-operator.io/ or deployment.kubernetes.io/, or be kubectl.kubernetes.io/last-applied-configuration: the operator and Kubernetes set these",rule="self.all(k, !k.startsWith('sftp-operator.io/') && !k.startsWith('deployment.kubernetes.io/') && k != 'kubectl.kubernetes.io/last-applied-configuration')"
	// +kubebuilder:validation:XValidation:message="keys and values must not have more than 32768 bytes in total",rule="self.map(k, size(k) + size(bytes(self[k]))).sum() <= 32768"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// ipFamilyPolicy controls whether the Service has IPv4 addresses, IPv6 addresses, or
	// both. Default: SingleStack, with the first family of the cluster.
	// +optional
	IPFamilyPolicy IPFamilyPolicy `json:"ipFamilyPolicy,omitempty"`

	// ipFamilies are the families of the Service's addresses, in order. Default: those of
	// the cluster. The first one cannot be changed while the Service exists.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:XValidation:message="must not name a family twice",rule="size(self) == 1 || self[0] != self[1]"
	IPFamilies []IPFamily `json:"ipFamilies,omitempty"`

	// appProtocol tells load balancers and meshes which protocol is used, for example tcp or
	// example.com/sftp. Default: none.
	// +optional
	AppProtocol QualifiedName `json:"appProtocol,omitempty"`

	// loadBalancerNodePorts is Allocate, or Omit for load balancers that reach pods directly and
	// need no ports of the nodes. Ports that the Service already has stay. Default Allocate.
	// +optional
	LoadBalancerNodePorts NodePortAllocation `json:"loadBalancerNodePorts,omitempty"`

	// sessionAffinity is None, or ClientIP to send all connections from one address, as the
	// Service sees it, to the same pod. Default None.
	// +optional
	SessionAffinity SessionAffinity `json:"sessionAffinity,omitempty"`

	// sessionAffinityTimeoutSeconds is how long, in seconds, sessionAffinity ClientIP remembers
	// an address that has no connection. Default 10800, three hours.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	SessionAffinityTimeoutSeconds *int32 `json:"sessionAffinityTimeoutSeconds,omitempty"`

	// trafficDistribution prefers pods near the client for connections from inside the
	// cluster: PreferClose and PreferSameZone in the same zone, PreferSameNode on the same
	// node; the last two need Kubernetes 1.34. Default: all pods equally.
	// +optional
	TrafficDistribution TrafficDistribution `json:"trafficDistribution,omitempty"`
}

// IPFamilyPolicy controls which IP families the addresses of a Service have.
//
// +kubebuilder:validation:Enum=SingleStack;PreferDualStack;RequireDualStack
type IPFamilyPolicy string

// The policies of address families.
const (
	IPSingleStack      IPFamilyPolicy = "SingleStack"
	IPPreferDualStack  IPFamilyPolicy = "PreferDualStack"
	IPRequireDualStack IPFamilyPolicy = "RequireDualStack"
)

// IPFamily is an address family.
//
// +kubebuilder:validation:Enum=IPv4;IPv6
type IPFamily string

// NodePortAllocation controls whether a Service of type LoadBalancer gets ports on the nodes.
//
// +kubebuilder:validation:Enum=Allocate;Omit
type NodePortAllocation string

// The choices of ports of the nodes.
const (
	NodePortsAllocate NodePortAllocation = "Allocate"
	NodePortsOmit     NodePortAllocation = "Omit"
)

// SessionAffinity controls whether a client always reaches the same pod.
//
// +kubebuilder:validation:Enum=None;ClientIP
type SessionAffinity string

// The affinities of sessions.
const (
	SessionAffinityNone     SessionAffinity = "None"
	SessionAffinityClientIP SessionAffinity = "ClientIP"
)

// TrafficDistribution controls which pods a Service prefers.
//
// +kubebuilder:validation:Enum=PreferClose;PreferSameZone;PreferSameNode
type TrafficDistribution string

// ServiceType is the type of a listener's Service.
//
// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
type ServiceType string

// The types of Services.
const (
	ServiceClusterIP    ServiceType = "ClusterIP"
	ServiceNodePort     ServiceType = "NodePort"
	ServiceLoadBalancer ServiceType = "LoadBalancer"
)

// TrafficPolicy is how a Service spreads connections from outside the cluster.
//
// +kubebuilder:validation:Enum=Local;Cluster
type TrafficPolicy string

// The traffic policies.
const (
	TrafficLocal   TrafficPolicy = "Local"
	TrafficCluster TrafficPolicy = "Cluster"
)

// ListenerAuthentication is how clients may log in.
//
// +kubebuilder:validation:XValidation:message="requiredMethods must contain a combination that allowedMethods allows",rule="!has(self.requiredMethods) || !has(self.allowedMethods) || self.requiredMethods.exists(m, m.steps.all(s, s == 'TOTP' || s in self.allowedMethods))"
// +kubebuilder:validation:XValidation:message="trustedUserCAs may be set only if allowedMethods contains PublicKey: certificate logins use that method",rule="!has(self.trustedUserCAs) || !has(self.allowedMethods) || 'PublicKey' in self.allowedMethods"
// +kubebuilder:validation:XValidation:message="trustedUserCAsSecretRefs may be set only if allowedMethods contains PublicKey: certificate logins use that method",rule="!has(self.trustedUserCAsSecretRefs) || !has(self.allowedMethods) || 'PublicKey' in self.allowedMethods"
type ListenerAuthentication struct {
	// allowedMethods are the methods that users of this listener may use: PublicKey, Password,
	// or both. The code from an authenticator app follows one of them, and needs no entry.
	// Default PublicKey and Password.
	// +optional
	// +listType=set
	// +kubebuilder:default={"PublicKey","Password"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:XValidation:message="allowedMethods must not contain TOTP: a code comes after another method, and is always allowed",rule="!('TOTP' in self)"
	AllowedMethods []AuthMethod `json:"allowedMethods,omitempty"`

	// requiredMethods are combinations of steps. Each login must contain at least one of them: its
	// steps in order, possibly with others in between. A user with a weaker combination is
	// not accepted; one without methods has these. Example: {steps: [PublicKey, TOTP]}.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:message="requiredMethods must not contain the same steps twice",rule="self.all(m, self.exists_one(n, n.steps == m.steps))"
	RequiredMethods []MethodCombination `json:"requiredMethods,omitempty"`

	// maxAuthTries is the number of failed attempts in a connection before it is
	// closed. Default 6. A client with an agent offers its keys one after another:
	// as many refused offers again do not count.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	MaxAuthTries *int32 `json:"maxAuthTries,omitempty"`

	// loginGraceSeconds is the time a client has to log in, in seconds. Default 30.
	// +optional
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=300
	LoginGraceSeconds *int32 `json:"loginGraceSeconds,omitempty"`

	// banner is text that is sent to clients before they log in, such as a legal notice
	// (RFC 4252 section 5.4). OpenSSH prints it; programs usually ignore it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:message="banner must not contain control or formatting characters other than newline and tab",rule=`self.matches(r'^([\t\n]|[^\p{C}\p{Zl}\p{Zp}])*$')`
	// +kubebuilder:validation:XValidation:message="banner must not contain the words 'password:' or 'verification code:': scripts that wait for them would answer the banner",rule=`!self.lowerAscii().contains('assword:') && !self.lowerAscii().contains('verification code:')`
	Banner string `json:"banner,omitempty"`

	// trustedUserCAs are the public keys of certificate authorities, each the line of a .pub
	// file. OpenSSH user certificates that they signed log in users who accept certificates,
	// if the login name is among the principals.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="must never be a private key: use the contents of the .pub file, and generate a new key pair, because others may have seen this private key",rule="self.all(k, !k.contains('PRIVATE KEY') && !k.contains('PuTTY-User') && !k.contains('b3BlbnNzaC1r'))"
	TrustedUserCAs []PublicKeyLine `json:"trustedUserCAs,omitempty"`

	// trustedUserCAsSecretRefs add to trustedUserCAs from files in Secrets in the
	// listener's namespace, with one public key per line as in sshd's TrustedUserCAKeys. A
	// listener can have at most 64 in total. A CA is trusted for as long as its line is
	// there.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	TrustedUserCAsSecretRefs []SecretFileReference `json:"trustedUserCAsSecretRefs,omitempty"`

	// passwordPolicy is what users' passwords must satisfy.
	// +optional
	PasswordPolicy PasswordPolicy `json:"passwordPolicy,omitempty,omitzero"`
}

// PasswordPolicy is what passwords must satisfy. It applies to clear-text passwords in Secrets: a hash does
// not reveal how long its password is.
type PasswordPolicy struct {
	// minLength is the minimum number of characters. Default 8, the minimum that NIST SP
	// 800-63B allows; it recommends 15 for a password without a second factor. A user whose
	// password is shorter cannot log in with it.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	MinLength *int32 `json:"minLength,omitempty"`
}

// AuthMethod is a step of a login. The daemon's configuration and its audit log have the same names.
//
// +kubebuilder:validation:Enum=PublicKey;Password;TOTP
type AuthMethod string

// The steps of logins.
const (
	AuthPublicKey AuthMethod = "PublicKey"
	AuthPassword  AuthMethod = "Password"
	// AuthTOTP is the code from an authenticator app (RFC 6238).
	AuthTOTP AuthMethod = "TOTP"
)
