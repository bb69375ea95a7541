package v1alpha1

// CryptoPolicy names a set of algorithms.
//
// +kubebuilder:validation:Enum=Modern2026;Strict2026;Fips2026;Legacy2026
type CryptoPolicy string

// The crypto policies; docs/crypto-policies.md lists their algorithms.
const (
	// CryptoModern2026 offers the post-quantum hybrid key exchange first, no SHA-1, no
	// CBC, RSA keys of 2048 bits and more with SHA-2 signatures only.
	CryptoModern2026 CryptoPolicy = "Modern2026"
	// CryptoStrict2026 offers post-quantum and curve25519 key exchange, and only
	// authenticated encryption or encrypt-then-MAC.
	CryptoStrict2026 CryptoPolicy = "Strict2026"
	// CryptoFips2026 offers what FIPS 140 allows.
	CryptoFips2026 CryptoPolicy = "Fips2026"
	// CryptoLegacy2026 offers what appliances of the last decade need, SHA-1 included.
	CryptoLegacy2026 CryptoPolicy = "Legacy2026"
)

// ListenerProxyProtocol is how a listener learns clients' addresses from a proxy.
//
// +kubebuilder:validation:XValidation:message="trustedCIDRs must be set if and only if mode is Required: a header from anyone else could be forged",rule="has(self.trustedCIDRs) == (has(self.mode) && self.mode == 'Required')"
type ListenerProxyProtocol struct {
	// mode Required refuses connections that do not begin with a PROXY protocol header,
	// version 1 or 2, from one of trustedCIDRs. Default Disabled.
	// +optional
	// +kubebuilder:default=Disabled
	Mode ProxyProtocolMode `json:"mode,omitempty"`

	// trustedCIDRs are the networks of the proxies, as the pods see them: those of the
	// load balancer, or of the nodes that it sends connections through.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:message="trustedCIDRs must not contain networks larger than /8 (IPv4) or /24 (IPv6): anyone in them can claim any address",rule="self.all(c, !isCIDR(c) || cidr(c).prefixLength() >= (cidr(c).ip().family() == 4 ? 8 : 24))"
	TrustedCIDRs []Network `json:"trustedCIDRs,omitempty"`
}

// ProxyProtocolMode controls whether connections begin with a PROXY protocol header.
//
// +kubebuilder:validation:Enum=Disabled;Required
type ProxyProtocolMode string

// The modes of the PROXY protocol.
const (
	ProxyProtocolDisabled ProxyProtocolMode = "Disabled"
	ProxyProtocolRequired ProxyProtocolMode = "Required"
)

// ListenerSources controls how clients are distinguished by their addresses, and how misbehaving ones are kept away.
type ListenerSources struct {
	// penalties Enabled temporarily refuses sources that repeatedly fail to log in, hold
	// connections without logging in, or send garbage. Default: Enabled, but Disabled
	// where service.externalTrafficPolicy Cluster without proxyProtocol shows the pods the
	// addresses of nodes, not of clients.
	// +optional
	Penalties PenaltyMode `json:"penalties,omitempty"`

	// maxPenaltySeconds is the longest time, in seconds, for which a source is refused.
	// Default 600.
	// +optional
	// +kubebuilder:validation:Minimum=15
	// +kubebuilder:validation:Maximum=86400
	MaxPenaltySeconds *int32 `json:"maxPenaltySeconds,omitempty"`

	// exemptCIDRs are networks without penalties and without limits.startups.perSource,
	// such as those of a monitoring system or of a large site behind one address.
	// Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	ExemptCIDRs []Network `json:"exemptCIDRs,omitempty"`

	// ipv4PrefixLength is how many bits of an IPv4 address make up a source. Default 32:
	// each address is a source.
	// +optional
	// +kubebuilder:validation:Minimum=8
	// +kubebuilder:validation:Maximum=32
	IPv4PrefixLength *int32 `json:"ipv4PrefixLength,omitempty"`

	// ipv6PrefixLength is how many bits of an IPv6 address make up a source. Default 64:
	// a host can take any address of its /64.
	// +optional
	// +kubebuilder:validation:Minimum=16
	// +kubebuilder:validation:Maximum=128
	IPv6PrefixLength *int32 `json:"ipv6PrefixLength,omitempty"`
}

// PenaltyMode controls whether misbehaving sources are temporarily refused.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type PenaltyMode string

// The modes of penalties.
const (
	PenaltiesEnabled  PenaltyMode = "Enabled"
	PenaltiesDisabled PenaltyMode = "Disabled"
)

// ListenerKeyPolicy controls when users' keys are reported as expiring or unused, in
// states, conditions and metrics. It refuses no login.
//
// +kubebuilder:validation:MinProperties=1
type ListenerKeyPolicy struct {
	// expiringWithinDays is how long before its expirationTime a key counts as Expiring.
	// Default 30.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=365
	ExpiringWithinDays *int32 `json:"expiringWithinDays,omitempty"`

	// unusedAfterDays is the number of days without a login after which a key counts as
	// Unused. Default: never.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	UnusedAfterDays *int32 `json:"unusedAfterDays,omitempty"`
}
