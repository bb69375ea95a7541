package v1alpha1

// ListenerTracing sends traces of sessions to a collector of OpenTelemetry: one for each
// connection that logs in, with its login and its transfers.
type ListenerTracing struct {
	// endpoint is where the collector takes OTLP over HTTP: the base URL, to which the pods add
	// /v1/traces. They look its name up and connect to it, which the NetworkPolicy of the
	// listener does not allow by itself: docs/monitoring.md has the policy that does. Spans
	// have login names, addresses and paths of files.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:message="endpoint must be http:// or https:// with a host and a port and nothing else, for example http://collector.observability.svc:4318",rule=`self.matches(r'^https?://([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?$')`
	// +kubebuilder:validation:XValidation:message="endpoint must have an IPv6 address between the brackets, for example http://[2001:db8::1]:4318",rule="!self.contains('[') || isIP(self.substring(self.indexOf('[') + 1, self.indexOf(']')))"
	// +kubebuilder:validation:XValidation:message="endpoint must have a port of at most 65535",rule="!isURL(self) || url(self).getPort() == '' || int(url(self).getPort()) <= 65535"
	Endpoint string `json:"endpoint,omitempty"`

	// samplingPercent is the share of connections whose traces are sent, each as a whole or
	// not at all. Default 100.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	SamplingPercent *int32 `json:"samplingPercent,omitempty"`
}
