package v1alpha1

// The formats of strings that several fields share. They are aliases, so that Go code handles plain strings, while
// the schema of every such field has the rule and its message.

// ObjectName is the name of a Kubernetes object, a DNS-1123 subdomain: that of a Secret, an SFTPKey or a claim.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:message="must be the name of an object: lower-case letters, digits, '-' and '.', with each part between dots starting and ending with a letter or digit",rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')"
type ObjectName = string

// PriorityClassName is the name of a PriorityClass that is not one of Kubernetes' own: pods with those preempt all others.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:message="must be the name of an object: lower-case letters, digits, '-' and '.', with each part between dots starting and ending with a letter or digit",rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')"
// +kubebuilder:validation:XValidation:message="must not be a priority class of Kubernetes itself (system-...): its pods would evict those of the cluster's own components",rule="!self.startsWith('system-')"
type PriorityClassName = string

// NamespaceName is the name of a namespace, a DNS-1123 label.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:message="must be the name of a namespace: lower-case letters, digits and '-', starting and ending with a letter or digit",rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
type NamespaceName = string

// ListenerName is the name of an SFTPListener.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=40
// +kubebuilder:validation:XValidation:message="must be the name of an SFTPListener: lower-case letters, digits and '-', starting with a letter and ending with a letter or digit",rule="self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
type ListenerName = string

// VolumeName is the name of a volume within a listener. It is part of the names of claims, mounts and directories.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=20
// +kubebuilder:validation:XValidation:message="must be the name of a volume: lower-case letters, digits and '-', starting and ending with a letter or digit",rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
type VolumeName = string

// SubPath is the path of a directory below another one. It is clean.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:message="subPath must not contain control characters",rule="!self.matches('[[:cntrl:]]')"
// +kubebuilder:validation:XValidation:message="subPath must be a relative path without empty, '.' or '..' parts, for example in/2026",rule="!self.matches('(^|/)[.]{0,2}(/|$)')"
type SubPath = string

// SecretEntry is the key of an entry in a Secret's data.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:message="must be the key of a Secret's entry: letters, digits, '-', '_' and '.'; it must not be '.' or begin with '..'",rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')"
type SecretEntry = string

// Network is a network in CIDR notation. Host bits are refused, because they show that the author meant something
// else: 10.0.0.7/8 is either one address or a network of 16 million.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:message="must be a network in CIDR notation, for example 203.0.113.0/24",rule="isCIDR(self)"
// +kubebuilder:validation:XValidation:message="must begin with the first address of the network: 203.0.113.0/24 for the network of 203.0.113.7, 203.0.113.7/32 for that address",rule="!isCIDR(self) || cidr(self) == cidr(self).masked()"
type Network = string

// Host is a DNS name or an IP address, in the spelling that OpenSSH uses in known_hosts. A name that consists only of
// digits is refused, because programs treat it as an IPv4 address.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:message="must be a DNS name in lower case, or an IP address without brackets, port or prefix length, for example sftp.example.com, 203.0.113.7 or 2001:db8::7",rule="isIP(self) || (self.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$') && self.matches('[a-z][-a-z0-9]*$'))"
// +kubebuilder:validation:XValidation:message="must be an IPv6 address in its shortest form in lower case (RFC 5952), for example 2001:db8::7: clients look it up in this form",rule="!isIP(self) || ip.isCanonical(self)"
// +kubebuilder:validation:XValidation:message="must be an address that clients can connect to, not 0.0.0.0 or ::",rule="!isIP(self) || !ip(self).isUnspecified()"
type Host = string

// PublicKeyLine is a public key, the line of a .pub file without options. An RSA key of 8192 bits has 1,430
// characters, plus its comment. Private keys are refused by a rule of the type that has the field, because the API
// server's answer quotes a string that breaks a rule of its own: all that have a PublicKeyLine or AuthorizedKey must
// have that rule (test/cel).
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1792
// +kubebuilder:validation:XValidation:message="must be one line like that of a .pub file, for example ssh-ed25519 AAAA... comment, without options",rule=`self.contains('PRIVATE KEY') || self.contains('PuTTY-User') || self.contains('b3BlbnNzaC1r') || self.matches(r'^\s*(sk-)?(ssh|ecdsa-sha2)-[a-z0-9@.-]+[ \t]+AAAA[A-Za-z0-9+/]*=*([ \t]\P{Cc}*)?\s*$')`
type PublicKeyLine = string

// AuthorizedKey is a line of an OpenSSH authorized_keys file with no option but from=.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=4096
// +kubebuilder:validation:XValidation:message="must be one line like that of a .pub file, for example ssh-ed25519 AAAA... comment, with from=\"203.0.113.0/24\" before it and no other option",rule=`self.contains('PRIVATE KEY') || self.contains('PuTTY-User') || self.contains('b3BlbnNzaC1r') || self.matches(r'^\s*((?i:from)="[^"]*"[ \t]+)?(sk-)?(ssh|ecdsa-sha2)-[a-z0-9@.-]+[ \t]+AAAA[A-Za-z0-9+/]*=*([ \t]\P{Cc}*)?\s*$')`
type AuthorizedKey = string

// Date is a day in UTC, as 2006-01-02.
//
// +kubebuilder:validation:MinLength=10
// +kubebuilder:validation:MaxLength=10
// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
type Date = string

// QualifiedName is the key of a label, or anything with the same syntax.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=317
// +kubebuilder:validation:XValidation:message="must be a name of at most 63 letters, digits, '-', '_' and '.', alone or after a DNS name of at most 253 characters and a '/', for example example.com/team",rule="self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && self.indexOf('/') <= 253"
type QualifiedName = string

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MinLength=0
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:message="must be empty or have at most 63 letters, digits, '-', '_' and '.', starting and ending with a letter or digit",rule="self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')"
type LabelValue = string

// AnnotationValue is the value of an annotation.
//
// +kubebuilder:validation:MinLength=0
// +kubebuilder:validation:MaxLength=8192
type AnnotationValue = string
