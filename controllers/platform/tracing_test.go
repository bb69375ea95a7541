package platform

import (
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// An endpoint that breaks the bound gets no spans, whatever else is delivered.
func TestTracingHosts(t *testing.T) {
	for _, c := range []struct {
		policy, endpoint string
		allowed          bool
	}{
		{"{}", "http://evil.example.com:4318", true},
		{everything, "", true},
		{everything, "http://collector.observability.svc:4318", true},
		{everything, "http://COLLECTOR.observability.svc", true},
		{everything, "https://a.traces.example.com", true},
		{everything, "http://10.20.0.7:4318", true},
		{everything, "http://10.20.0.70:4318", false},
		{everything, "http://[2001:db8::1]:4318", false},
		{everything, "http://collector.team-a.svc:4318", false},
		{everything, "https://traces.example.com", false},
		{"bounds: {tracingHosts: []}", "http://collector.observability.svc:4318", false},
	} {
		l := &v1alpha1.SFTPListener{}
		l.Spec.Tracing.Endpoint = c.endpoint
		l.Spec.Infrastructure.Pod.Resources = parsed(t, everything).Defaults.Resources
		d := parsed(t, c.policy).Decide(l, time.Time{})
		if sent := d.Listener.Spec.Tracing.Endpoint == c.endpoint; sent != c.allowed || (len(d.Violations) == 0) != c.allowed {
			t.Errorf("%s under %s: endpoint %q, %+v", c.endpoint, c.policy, d.Listener.Spec.Tracing.Endpoint, d.Violations)
		}
	}
	l := &v1alpha1.SFTPListener{}
	l.Spec.Tracing.Endpoint = "http://collector:4318"
	if d := Unusable().Decide(l, time.Time{}); d.Listener.Spec.Tracing.Endpoint != "" || l.Spec.Tracing.Endpoint == "" {
		t.Errorf("endpoint %q under a policy that is unknown", d.Listener.Spec.Tracing.Endpoint)
	}
}
