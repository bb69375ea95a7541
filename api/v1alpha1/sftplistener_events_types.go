package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ListenerEvents delivers events about files and logins to receivers: CloudEvents 1.0 over HTTP, at least
// once, and in order for each user. The pods keep them on a volume until they are delivered, and a Deployment
// <listener>-sftp-relay, which exists only with events, delivers them.
type ListenerEvents struct {
	// sinks are the receivers.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Sinks []EventSink `json:"sinks,omitempty"`

	// outbox limits the events that each pod keeps until they are delivered.
	// +optional
	Outbox EventOutbox `json:"outbox,omitempty,omitzero"`

	// temporaryNames are patterns of the names that clients give to files which they rename
	// after the upload, for example *.filepart of WinSCP. The event for such an upload is sent
	// after the rename. * stands for any characters, ? for one, [abc] for one of these.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	TemporaryNames []FileNamePattern `json:"temporaryNames,omitempty"`
}

// FileNamePattern is a pattern of file names.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:message="must be a pattern of file names without '/' and '\\\\', with each '[' closed, for example *.filepart",rule=`self.matches(r'^([^/\\\[\]]|\[\^?[^/\\\[\]^-]+\])+$')`
type FileNamePattern = string

// EventSink is a receiver of events.
//
// +kubebuilder:validation:XValidation:message="must have either url or serviceRef",rule="has(self.url) != has(self.serviceRef)"
// +kubebuilder:validation:XValidation:message="must use https with clientCertificateSecretRef or caBundle: without TLS they have no effect",rule="(!has(self.caBundle) && (!has(self.authentication) || !has(self.authentication.clientCertificateSecretRef))) || (has(self.url) && self.url.startsWith('https:')) || (has(self.serviceRef) && has(self.serviceRef.scheme) && self.serviceRef.scheme == 'HTTPS')"
type EventSink struct {
	// name of the sink, unique in the listener. It appears in metrics, in the status,
	// and in kubectl sftp events.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:message="must be the name of a sink: lower-case letters, digits and '-', starting and ending with a letter or digit",rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
	Name string `json:"name,omitempty"`

	// url is where events are sent. Its host must be one that the platform allows
	// (bounds.events.hosts) or a Service of the listener's namespace. https, or http to a Service.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:message="url must be https:// with a DNS name in lower case, not an address, and without a user, blanks and '#', for example https://events.example.com/sftp",rule=`self.matches(r'^https?://([a-z0-9]([-a-z0-9]*[a-z0-9])?[.])*[a-z]([-a-z0-9]*[a-z0-9])?(:[1-9][0-9]{0,4})?([/?][!$-~]*)?$')`
	// +kubebuilder:validation:XValidation:message="url may be http:// only for a Service, for example http://receiver.team-a.svc:8080/: otherwise others could read the events",rule=`!self.startsWith('http:') || self.matches(r'^http://[^/?:]*[.]svc([.]cluster[.]local)?([:/?]|$)')`
	// +kubebuilder:validation:XValidation:message="url must have a port of at most 65535",rule="!isURL(self) || url(self).getPort() == '' || int(url(self).getPort()) <= 65535"
	URL string `json:"url,omitempty"`

	// serviceRef is a Service in the listener's namespace.
	// +optional
	ServiceRef *EventServiceReference `json:"serviceRef,omitempty"`

	// types of events. Default: all of files and directories, and none of logins and keys.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Types []EventType `json:"types,omitempty"`

	// users selects the users whose events are sent. Default: all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Users []EventUserReference `json:"users,omitempty"` //nolint:kubeapilinter // an empty reference means all users of the namespace

	// filter is a CEL expression that chooses events, for example
	// event.data.path.endsWith('.csv'). event is the event in structured JSON. If the filter
	// cannot be evaluated for an event, for example because a field is missing, the event is
	// sent: use has().
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Filter string `json:"filter,omitempty"`

	// format Structured sends an event as one JSON document (application/cloudevents+json),
	// Binary its attributes in headers (ce-...) and its data as the body. Default Structured.
	// +optional
	Format EventFormat `json:"format,omitempty"`

	// authentication is how the relay authenticates to the receiver.
	// +optional
	Authentication EventAuthentication `json:"authentication,omitempty,omitzero"`

	// caBundle has the CAs, in PEM format, that the receiver's certificate may be signed by.
	// Default: the public CAs in the image.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32768
	// +kubebuilder:validation:XValidation:message="must contain certificates in PEM format, and no private key",rule="self.contains('-----BEGIN CERTIFICATE-----') && !self.contains('PRIVATE KEY')"
	CABundle string `json:"caBundle,omitempty"`

	// timeoutSeconds is how long the relay waits for the receiver's response. Default 30.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=300
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`

	// giveUpAfterSeconds is how long an event is retried, counted from when it happened,
	// before it becomes a dead letter. Default 86400, a day.
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	GiveUpAfterSeconds *int32 `json:"giveUpAfterSeconds,omitempty"`
}

// EventServiceReference names a port of a Service in the listener's namespace.
type EventServiceReference struct {
	// name of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:message="must be the name of a Service: lower-case letters, digits and '-', starting with a letter and ending with a letter or digit",rule="self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
	Name string `json:"name,omitempty"`

	// port of the Service.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// scheme is HTTP or HTTPS. Default HTTP.
	// +optional
	Scheme EventScheme `json:"scheme,omitempty"`

	// path of the requests. Default /.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:message="path must begin with '/' and must not contain blanks, '#' or double quotes",rule=`self.matches(r'^/[!$-~]*$')`
	Path string `json:"path,omitempty"`
}

// EventScheme is the protocol of a Service that receives events.
//
// +kubebuilder:validation:Enum=HTTP;HTTPS
type EventScheme string

// The schemes.
const (
	EventSchemeHTTP  EventScheme = "HTTP"
	EventSchemeHTTPS EventScheme = "HTTPS"
)

// EventType is the CloudEvents type of an event.
//
// +kubebuilder:validation:Enum=io.sftp-operator.file.published.v1;io.sftp-operator.file.upload.failed.v1;io.sftp-operator.file.downloaded.v1;io.sftp-operator.file.deleted.v1;io.sftp-operator.file.renamed.v1;io.sftp-operator.file.expired.v1;io.sftp-operator.directory.created.v1;io.sftp-operator.directory.deleted.v1;io.sftp-operator.login.succeeded.v1;io.sftp-operator.login.refused.v1;io.sftp-operator.key.expiring.v1;io.sftp-operator.key.expired.v1
type EventType string

// EventUserReference names users.
//
// +kubebuilder:validation:XValidation:message="must not have both name and selector",rule="!has(self.name) || !has(self.selector)"
type EventUserReference struct {
	// namespace of the users. Default: that of the listener.
	// +optional
	Namespace NamespaceName `json:"namespace,omitempty"`

	// name of the SFTPUser. Default: all of the namespace, or those that selector matches.
	// +optional
	Name ObjectName `json:"name,omitempty"`

	// selector matches labels of SFTPUsers of the namespace. Anyone who may set these labels decides which
	// users of that namespace are meant, and has no influence on other namespaces.
	// +optional
	Selector *EventUserSelector `json:"selector,omitempty"`
}

// EventUserSelector selects SFTPUsers by their labels. All of its requirements must hold.
//
// +kubebuilder:validation:MinProperties=1
type EventUserSelector struct {
	// matchLabels are labels that a user has to have.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=4
	// +kubebuilder:validation:XValidation:message="each key must be a name of at most 63 letters, digits, '-', '_' and '.', alone or after a DNS name of at most 253 characters and a '/', for example example.com/team",rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && k.indexOf('/') <= 253)"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// matchExpressions are conditions on labels.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	MatchExpressions []EventUserRequirement `json:"matchExpressions,omitempty"`
}

// EventUserRequirement is a condition on a label.
//
// +kubebuilder:validation:XValidation:message="operator must be In or NotIn with values, or Exists or DoesNotExist without values",rule="has(self.values) ? self.operator in ['In', 'NotIn'] : self.operator in ['Exists', 'DoesNotExist']"
type EventUserRequirement struct {
	// key of the label.
	// +required
	Key QualifiedName `json:"key,omitempty"`

	// operator In and NotIn compare the value with values; Exists and DoesNotExist only check for the label.
	// +required
	Operator SelectorOperator `json:"operator,omitempty"`

	// values to compare with.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Values []LabelValue `json:"values,omitempty"`
}

// LabelSelector returns the selector in the type of Kubernetes.
func (s *EventUserSelector) LabelSelector() *metav1.LabelSelector {
	out := &metav1.LabelSelector{MatchLabels: s.MatchLabels}
	for _, e := range s.MatchExpressions {
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: e.Key, Operator: metav1.LabelSelectorOperator(e.Operator), Values: e.Values,
		})
	}
	return out
}

// EventFormat is how events are encoded.
//
// +kubebuilder:validation:Enum=Structured;Binary
type EventFormat string

// The formats.
const (
	EventStructured EventFormat = "Structured"
	EventBinary     EventFormat = "Binary"
)

// EventAuthentication is how the relay authenticates. The Secrets are in the listener's namespace. Several may be set.
//
// +kubebuilder:validation:MinProperties=1
type EventAuthentication struct {
	// bearerSecretRef is a token that is sent as Authorization: Bearer.
	// +optional
	BearerSecretRef *SecretFileReference `json:"bearerSecretRef,omitempty"`

	// hmacSecretRef is a secret that each request is signed with, as specified by Standard
	// Webhooks: HMAC-SHA256 over the event's id, the time and the body, in the header
	// webhook-signature.
	// +optional
	HMACSecretRef *SecretFileReference `json:"hmacSecretRef,omitempty"`

	// clientCertificateSecretRef is a Secret with tls.crt and tls.key, the certificate and
	// private key for TLS.
	// +optional
	ClientCertificateSecretRef *LocalSecretReference `json:"clientCertificateSecretRef,omitempty"`
}

// EventOutbox limits what a pod keeps.
//
// +kubebuilder:validation:MinProperties=1
type EventOutbox struct {
	// maxSize is how much space the events of each pod may take on the volume. Default
	// 64Mi.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$`
	// +kubebuilder:validation:XValidation:message="maxSize must be from 1Mi to 16Gi",rule="!isQuantity(string(self)) || (quantity(string(self)).compareTo(quantity('1Mi')) >= 0 && quantity(string(self)).compareTo(quantity('16Gi')) <= 0)"
	MaxSize *resource.Quantity `json:"maxSize,omitempty"`

	// maxAgeSeconds is how long, in seconds, events are kept, dead letters included. Default
	// 604800, a week.
	// +optional
	// +kubebuilder:validation:Minimum=3600
	// +kubebuilder:validation:Maximum=7776000
	MaxAgeSeconds *int32 `json:"maxAgeSeconds,omitempty"`

	// whenFull Block refuses uploads while there is no space for their events. DropOldest
	// drops the oldest events. Default Block.
	// +optional
	WhenFull EventsWhenFull `json:"whenFull,omitempty"`
}

// EventsWhenFull is what happens when there is no room for an event.
//
// +kubebuilder:validation:Enum=Block;DropOldest
type EventsWhenFull string

// What happens when there is no room.
const (
	EventsBlock      EventsWhenFull = "Block"
	EventsDropOldest EventsWhenFull = "DropOldest"
)

// EventSinkStatus is the state of a sink, across all pods. It is updated about twice a
// minute.
type EventSinkStatus struct {
	// name of the sink.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name,omitempty"`

	// pending is the number of events that are not delivered yet.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Pending *int32 `json:"pending,omitempty"`

	// oldestTime is when the oldest of them happened.
	// +optional
	OldestTime *metav1.Time `json:"oldestTime,omitempty"`

	// deadLetters is the number of events that could not be delivered and are kept; see
	// kubectl sftp events.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DeadLetters *int32 `json:"deadLetters,omitempty"`

	// state is Delivering; Failing while the receiver accepts no events; Suspended if it
	// answered 410 Gone; or Held if the sink's settings cannot be used.
	// +optional
	State EventSinkState `json:"state,omitempty"`
}

// EventSinkState is the state of a sink.
//
// +kubebuilder:validation:Enum=Delivering;Failing;Suspended;Held
type EventSinkState string

// The states of a sink.
const (
	SinkDelivering EventSinkState = "Delivering"
	SinkFailing    EventSinkState = "Failing"
	SinkSuspended  EventSinkState = "Suspended"
	SinkHeld       EventSinkState = "Held"
)
