package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AllowedUsers is who may attach logins to a listener.
type AllowedUsers struct {
	// rules say which namespaces' SFTPUsers may attach, and what each of these namespaces may
	// use. Only the first rule that matches a namespace applies to it, so put a rule for a few
	// namespaces before the one for all. A namespace that no rule matches may not attach.
	// Default: one rule, for the listener's own namespace, without limits.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="rules must not have more than one rule with namespaces.from All, and that must be the last: no rule after it would ever match",rule="self.all(r, r.namespaces.from != 'All') || self.filter(r, r.namespaces.from == 'All').size() == 1 && self[self.size() - 1].namespaces.from == 'All'"
	// +kubebuilder:validation:XValidation:message="rules must not have more than one rule with namespaces.from Same: the second would never match",rule="self.filter(r, r.namespaces.from == 'Same').size() <= 1"
	// +kubebuilder:validation:XValidation:message="rules must not name a namespace twice: the second rule would never match it",rule="self.all(r, !has(r.namespaces.names) || r.namespaces.names.all(n, self.filter(o, has(o.namespaces.names) && n in o.namespaces.names).size() == 1))"
	Rules []AllowedUsersRule `json:"rules,omitempty"`

	// usernames is how login names are derived. OthersPrefixed puts "<namespace>." before
	// the names of users in namespaces other than the listener's, so that none of them can
	// take another's name, and a new rule renames no login. NamespacePrefixed puts it before
	// all names. Any leaves all names as they are: the first user that requests a name gets
	// it. Default OthersPrefixed.
	// +optional
	// +kubebuilder:default=OthersPrefixed
	Usernames UsernamePolicy `json:"usernames,omitempty"`
}

// AllowedUsersRule is what namespaces may use of a listener. Users that go beyond it are not
// accepted, with a condition that names the rule; their sessions end when a rule is narrowed.
//
// +kubebuilder:validation:XValidation:message="certificates Accepted requires PublicKey among methods: certificate logins use that method",rule="!has(self.certificates) || self.certificates != 'Accepted' || !has(self.methods) || 'PublicKey' in self.methods"
type AllowedUsersRule struct {
	// name of the rule, for conditions.
	// +required
	Name RuleName `json:"name,omitempty"`

	// namespaces that the rule applies to.
	// +required
	Namespaces AllowedNamespaces `json:"namespaces,omitzero"`

	// volumes are what users may have besides the directory of their namespace on the home
	// volume, <namespace>/. Default: nothing for other namespaces, and everything for the
	// listener's own.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Volumes []AllowedVolume `json:"volumes,omitempty"`

	// access is the most that users may have in any directory. ReadWrite includes all others,
	// and WriteOnly includes CreateOnly. With WriteOnly or CreateOnly, listing must not be
	// Names. Default ReadWrite.
	// +optional
	Access Access `json:"access,omitempty"`

	// maxUsers is the number of logins that each namespace can have. Logins that are attached
	// stay, and the oldest of those that wait comes next. Default: the listener's maxUsers
	// for its own namespace, and half of it for every other.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=40000
	MaxUsers *int32 `json:"maxUsers,omitempty"`

	// maxConnections is the number of connections that each namespace can have, per pod.
	// Connections that are open when it is lowered stay open. Default, while users of several
	// namespaces are attached: as many as limits.maxConnections leaves free, so that one
	// namespace gets at most half of it and there is room for a namespace that has none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20000
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// methods that users may log in with: PublicKey, Password, or both, as far as the
	// listener allows them. A code from an authenticator app after one of them is
	// always allowed. Default: what the listener allows.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:XValidation:message="methods must not contain TOTP: a code comes after another method, and is always allowed",rule="!('TOTP' in self)"
	Methods []AuthMethod `json:"methods,omitempty"`

	// certificates Refused keeps users from accepting certificates. Default Accepted.
	// +optional
	Certificates CertificateUse `json:"certificates,omitempty"`
}

// RuleName names a rule.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:message="name must contain only lower-case letters, digits and '-', and start and end with a letter or digit",rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
type RuleName = string

// AllowedVolume names the parts of a volume that users may use.
type AllowedVolume struct {
	// name of an entry of the listener's volumes.
	// +required
	Name VolumeName `json:"name,omitempty"`

	// subPaths are the directories of the volume that users with scope Volume may use, with
	// everything below them. Default: the directory of their namespace, <namespace>/.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	SubPaths []SubPath `json:"subPaths,omitempty"`

	// access is the most that users may have in these directories. The rule's own access
	// applies as well. Default ReadWrite.
	// +optional
	Access Access `json:"access,omitempty"`
}

// AllowedNamespaces selects namespaces.
//
// +kubebuilder:validation:XValidation:message="selector must be set if and only if from is Selector",rule="has(self.selector) == (self.from == 'Selector')"
// +kubebuilder:validation:XValidation:message="names must be set if and only if from is Names",rule="has(self.names) == (self.from == 'Names')"
type AllowedNamespaces struct {
	// from is Same (the listener's namespace), Names, Selector, or All. All and Selector
	// include the listener's namespace.
	// +required
	From NamespacesFrom `json:"from,omitempty"`

	// names of namespaces, with from Names.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Names []NamespaceName `json:"names,omitempty"`

	// selector matches labels of Namespaces, with from Selector.
	// +optional
	Selector *NamespaceSelector `json:"selector,omitempty"`
}

// NamespaceSelector selects namespaces by their labels. All of its requirements must hold; an empty one
// selects all.
type NamespaceSelector struct {
	// matchLabels are labels that a namespace must have.
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
// +kubebuilder:validation:XValidation:message="operator must be In or NotIn with values, or Exists or DoesNotExist without values",rule="has(self.values) ? self.operator in ['In', 'NotIn'] : self.operator in ['Exists', 'DoesNotExist']"
type NamespaceSelectorRequirement struct {
	// key of the label.
	// +required
	Key QualifiedName `json:"key,omitempty"`

	// operator In and NotIn compare the value with values; Exists and DoesNotExist only check
	// for the label.
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

// NamespacesFrom is how a rule selects namespaces.
//
// +kubebuilder:validation:Enum=Same;Names;Selector;All
type NamespacesFrom string

// The choices of namespaces.
const (
	NamespacesSame     NamespacesFrom = "Same"
	NamespacesNames    NamespacesFrom = "Names"
	NamespacesSelector NamespacesFrom = "Selector"
	NamespacesAll      NamespacesFrom = "All"
)

// UsernamePolicy is how login names are derived.
//
// +kubebuilder:validation:Enum=Any;OthersPrefixed;NamespacePrefixed
type UsernamePolicy string

// The login name policies.
const (
	UsernamesAny               UsernamePolicy = "Any"
	UsernamesOthersPrefixed    UsernamePolicy = "OthersPrefixed"
	UsernamesNamespacePrefixed UsernamePolicy = "NamespacePrefixed"
)
