package v1alpha1

// ListenerTracing sends traces of sessions to an OpenTelemetry collector: one for each
// connection that logs in, with its login and its transfers.
type ListenerTracing struct {
	// endpoint is where the collector accepts OTLP over HTTP: the base URL, to which the pods
	// add /v1/traces. They resolve its name and connect to it, which the listener's
	// NetworkPolicy does not allow: docs/monitoring.md has a policy that does. Spans contain
	// login names, addresses and file paths.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:message="endpoint must be http:// or https:// with a host and a port and nothing else, for example http://collector.observability.svc:4318",rule=`self.matches(r'^https?://([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?$')`
	// +kubebuilder:validation:XValidation:message="endpoint must have an IPv6 address between the brackets, for example http://[2001:db8::1]:4318",rule="!self.contains('[') || isIP(self.substring(self.indexOf('[') + 1, self.indexOf(']')))"
	// +kubebuilder:validation:XValidation:message="endpoint must have a port of at most 65535",rule="!isURL(self) || url(self).getPort() == '' || int(url(self).getPort()) <= 65535"
	Endpoint string `json:"endpoint,omitempty"`

	// samplingPercent is the share of connections that are traced, each completely or not
	// at all. Default 100.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	SamplingPercent *int32 `json:"samplingPercent,omitempty"`
}
