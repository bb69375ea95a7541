package config

import (
	"errors"
	"regexp"
)

// Tracing configures where a daemon sends traces of sessions. The zero value sends none.
type Tracing struct {
	// Endpoint is the base URL of an OpenTelemetry collector that accepts OTLP over HTTP: a scheme, a host and a port.
	Endpoint string `json:"endpoint"`
	// SamplingPercent is the share of connections whose traces are sent, 0 to 100.
	SamplingPercent int `json:"samplingPercent"`
}

// URL returns where requests with traces are sent (OTLP specification, "OTLP/HTTP Request").
func (t Tracing) URL() string { return t.Endpoint + "/v1/traces" }

// endpointRE is also the pattern of tracing.endpoint in the CRD. It does not allow a path, a
// query or a password.
var endpointRE = regexp.MustCompile(`^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?$`)

func (t Tracing) validate() error {
	switch {
	case t == Tracing{}:
		return nil
	case !endpointRE.MatchString(t.Endpoint):
		return errors.New("tracing.endpoint must be http:// or https:// with a host and a port, and nothing else")
	case t.SamplingPercent < 0 || t.SamplingPercent > 100:
		return errors.New("tracing.samplingPercent must be between 0 and 100")
	}
	return nil
}
