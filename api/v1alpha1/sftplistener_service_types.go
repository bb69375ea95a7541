package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ListenerService is how an endpoint is exposed.
//
// +kubebuilder:validation:XValidation:message="nodePort may be set only with type NodePort or LoadBalancer",rule="!has(self.nodePort) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])"
// +kubebuilder:validation:XValidation:message="externalTrafficPolicy may be set only with type NodePort or LoadBalancer",rule="!has(self.externalTrafficPolicy) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])"
// +kubebuilder:validation:XValidation:message="loadBalancerClass and loadBalancerSourceRanges may be set only with type LoadBalancer",rule="(!has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges)) || (has(self.type) && self.type == 'LoadBalancer')"
// +kubebuilder:validation:XValidation:message="loadBalancerClass must not be changed while type is LoadBalancer, because Services do not allow it: set type to ClusterIP in between, or make a new listener",rule="!has(self.type) || self.type != 'LoadBalancer' || !has(oldSelf.type) || oldSelf.type != 'LoadBalancer' || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))"
type ListenerService struct {
	// type of the Service.
	// +optional
	// +kubebuilder:default=ClusterIP
	Type ServiceType `json:"type,omitempty"`

	// port is the TCP port of the Service. The pods always listen on 2222, because
	// they run without privileges.
	// +optional
	// +kubebuilder:default=22
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// nodePort asks for a port of the nodes; the cluster assigns one when unset. It has to be
	// in the cluster's range, 30000 to 32767 unless that was configured: the condition
	// ObjectsApplied tells if it is not, or is taken.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort *int32 `json:"nodePort,omitempty"`

	// externalTrafficPolicy Local (the default of this operator for NodePort and
	// LoadBalancer) keeps the client's address, which the audit log and from= rules
	// need; Cluster spreads connections over all nodes and hides it, which also turns the
	// penalties off that slow down guessing of passwords.
	// +optional
	ExternalTrafficPolicy TrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// loadBalancerClass selects a load balancer implementation, for example
	// example.com/internal. Services do not let it change while type is LoadBalancer.
	// +optional
	LoadBalancerClass QualifiedName `json:"loadBalancerClass,omitempty"`

	// loadBalancerSourceRanges are the networks that a load balancer lets in, if it
	// supports that.
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
	// +kubebuilder:validation:XValidation:message="keys and values must not have more than 32768 bytes together",rule="self.map(k, size(k) + size(bytes(self[k]))).sum() <= 32768"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

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

// AllowedUsers is who may attach logins to a listener.
type AllowedUsers struct {
	// namespaces whose SFTPUsers may attach.
	// +optional
	// +kubebuilder:default={from: "Same"}
	Namespaces AllowedNamespaces `json:"namespaces,omitempty,omitzero"`

	// usernames Any lets a user choose any free login name. NamespacePrefixed makes
	// every login name "<namespace>.<name>", so that no tenant can take another's.
	// +optional
	// +kubebuilder:default=Any
	Usernames UsernamePolicy `json:"usernames,omitempty"`
}

// AllowedNamespaces selects namespaces.
//
// +kubebuilder:validation:XValidation:message="selector must be set if and only if from is Selector",rule="has(self.selector) == (has(self.from) && self.from == 'Selector')"
type AllowedNamespaces struct {
	// from is Same (the listener's namespace alone), All, or Selector.
	// +optional
	// +kubebuilder:default=Same
	From NamespacesFrom `json:"from,omitempty"`

	// selector matches labels of Namespaces, with from Selector.
	// +optional
	Selector *NamespaceSelector `json:"selector,omitempty"`
}

// NamespaceSelector selects namespaces by their labels. All that it says has to hold; empty, it selects all.
type NamespaceSelector struct {
	// matchLabels are labels that a namespace has to have.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:message="each key must be a name of at most 63 letters, digits, '-', '_' and '.', alone or after a DNS name of at most 253 characters and a '/', for example example.com/team",rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && k.indexOf('/') <= 253)"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// matchExpressions are conditions on labels.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	MatchExpressions []NamespaceSelectorRequirement `json:"matchExpressions,omitempty"`
}

// NamespaceSelectorRequirement is a condition on a label.
//
// +kubebuilder:validation:XValidation:message="operator must be In or NotIn with values, or Exists or DoesNotExist without",rule="has(self.values) ? self.operator in ['In', 'NotIn'] : self.operator in ['Exists', 'DoesNotExist']"
type NamespaceSelectorRequirement struct {
	// key of the label.
	// +required
	Key QualifiedName `json:"key,omitempty"`

	// operator In and NotIn compare the value with values; Exists and DoesNotExist ask for the
	// label only.
	// +required
	Operator SelectorOperator `json:"operator,omitempty"`

	// values to compare with.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Values []LabelValue `json:"values,omitempty"`
}

// SelectorOperator is how a label is compared.
//
// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
type SelectorOperator string

// LabelSelector returns the selector in the type that packages of Kubernetes evaluate. That of nil selects nothing.
func (s *NamespaceSelector) LabelSelector() *metav1.LabelSelector {
	if s == nil {
		return nil
	}
	out := &metav1.LabelSelector{MatchLabels: s.MatchLabels}
	for _, e := range s.MatchExpressions {
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: e.Key, Operator: metav1.LabelSelectorOperator(e.Operator), Values: e.Values,
		})
	}
	return out
}

// NamespacesFrom says which namespaces are meant.
//
// +kubebuilder:validation:Enum=Same;Selector;All
type NamespacesFrom string

// The choices of namespaces.
const (
	NamespacesSame     NamespacesFrom = "Same"
	NamespacesSelector NamespacesFrom = "Selector"
	NamespacesAll      NamespacesFrom = "All"
)

// UsernamePolicy says how login names are made.
//
// +kubebuilder:validation:Enum=Any;NamespacePrefixed
type UsernamePolicy string

// The login name policies.
const (
	UsernamesAny               UsernamePolicy = "Any"
	UsernamesNamespacePrefixed UsernamePolicy = "NamespacePrefixed"
)

// ListenerAuthentication is how clients may log in.
//
// +kubebuilder:validation:XValidation:message="requiredMethods must have a combination that allowedMethods allows",rule="!has(self.requiredMethods) || !has(self.allowedMethods) || self.requiredMethods.exists(m, m.split(',').all(s, s == 'publickey' ? 'PublicKey' in self.allowedMethods : s != 'password' || 'Password' in self.allowedMethods))"
// +kubebuilder:validation:XValidation:message="trustedUserCAs may be set only if allowedMethods has PublicKey: a certificate is for a key",rule="!has(self.trustedUserCAs) || !has(self.allowedMethods) || 'PublicKey' in self.allowedMethods"
// +kubebuilder:validation:XValidation:message="trustedUserCAsSecretRefs may be set only if allowedMethods has PublicKey: a certificate is for a key",rule="!has(self.trustedUserCAsSecretRefs) || !has(self.allowedMethods) || 'PublicKey' in self.allowedMethods"
type ListenerAuthentication struct {
	// allowedMethods are the methods that users of this listener may use. Password
	// stands for the SSH methods password and keyboard-interactive. The code of an
	// authenticator app comes after one of them, and needs no entry.
	// +optional
	// +listType=set
	// +kubebuilder:default={"PublicKey","Password"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	AllowedMethods []AuthMethod `json:"allowedMethods,omitempty"`

	// requiredMethods are combinations of which each login has to have at least one: its
	// steps, in its order, with further ones between them or not. A user with a weaker
	// combination is not accepted; one without mode and methods has these. Example:
	// publickey,keyboard-interactive:totp.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	RequiredMethods []MethodCombination `json:"requiredMethods,omitempty"`

	// maxAuthTries is the number of failed attempts in a connection before it is
	// closed. Default 6.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	MaxAuthTries *int32 `json:"maxAuthTries,omitempty"`

	// loginGraceSeconds is the time a client has to log in. Default 30.
	// +optional
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=300
	LoginGraceSeconds *int32 `json:"loginGraceSeconds,omitempty"`

	// banner is a text that clients get before they log in, such as a legal notice
	// (RFC 4252 section 5.4). OpenSSH prints it; programs usually ignore it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:message="banner must have no control or formatting characters other than newline and tab",rule=`self.matches(r'^([\t\n]|[^\p{C}\p{Zl}\p{Zp}])*$')`
	// +kubebuilder:validation:XValidation:message="banner must not have the words 'password:' or 'verification code:': scripts that wait for them would answer the banner",rule=`!self.lowerAscii().contains('assword:') && !self.lowerAscii().contains('verification code:')`
	Banner string `json:"banner,omitempty"`

	// trustedUserCAs are the public keys of certificate authorities, each the line of a .pub
	// file. Their OpenSSH user certificates log in those users who accept certificates, if
	// the login name is among the principals.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="must never be a private key: give the line of the .pub file, and make a new pair, because others may have seen this one",rule="self.all(k, !k.contains('PRIVATE KEY') && !k.contains('PuTTY-User') && !k.contains('b3BlbnNzaC1r'))"
	TrustedUserCAs []PublicKeyLine `json:"trustedUserCAs,omitempty"`

	// trustedUserCAsSecretRefs are more of trustedUserCAs, as files in Secrets in the
	// listener's namespace, a public key a line as in sshd's TrustedUserCAKeys. At most 64
	// count. A CA is trusted while its line is there.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	TrustedUserCAsSecretRefs []SecretFileReference `json:"trustedUserCAsSecretRefs,omitempty"`

	// passwordPolicy is what users' passwords must be like.
	// +optional
	PasswordPolicy PasswordPolicy `json:"passwordPolicy,omitempty,omitzero"`
}

// PasswordPolicy is what passwords must be like. It is for those that Secrets have in
// clear: a hash does not tell.
type PasswordPolicy struct {
	// minLength is the least number of characters. Default 8, the least that NIST SP 800-63B
	// allows; 15 is its advice for a password without a second factor. A user with a shorter
	// one has no password.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	MinLength *int32 `json:"minLength,omitempty"`
}

// AuthMethod is a way to log in.
//
// +kubebuilder:validation:Enum=PublicKey;Password
type AuthMethod string

// The ways to log in.
const (
	AuthPublicKey AuthMethod = "PublicKey"
	AuthPassword  AuthMethod = "Password"
)
