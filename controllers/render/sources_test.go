package render

import (
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Where a Service hides clients' addresses, a per-source limit would be shared by all clients.
func TestLimitsOfSources(t *testing.T) {
	cluster := v1alpha1.ListenerService{Type: v1alpha1.ServiceLoadBalancer, ExternalTrafficPolicy: v1alpha1.TrafficCluster}
	proxied := v1alpha1.ListenerProxyProtocol{Mode: v1alpha1.ProxyProtocolRequired, TrustedCIDRs: []string{"10.0.0.0/8"}}
	for _, tc := range []struct {
		name      string
		spec      v1alpha1.SFTPListenerSpec
		penalties bool
		perSource int
	}{
		{"by default", v1alpha1.SFTPListenerSpec{}, true, 20},
		{"addresses of nodes", v1alpha1.SFTPListenerSpec{Service: cluster}, false, 0},
		{"addresses from a proxy", v1alpha1.SFTPListenerSpec{Service: cluster, ProxyProtocol: proxied}, true, 20},
		{"switched off", v1alpha1.SFTPListenerSpec{
			Sources: v1alpha1.ListenerSources{Penalties: v1alpha1.PenaltiesDisabled},
			Limits:  v1alpha1.ListenerLimits{Startups: v1alpha1.ListenerStartups{PerSource: new(int32(0))}},
		}, false, 0},
		{"switched on", v1alpha1.SFTPListenerSpec{
			Service: cluster, Sources: v1alpha1.ListenerSources{Penalties: v1alpha1.PenaltiesEnabled},
			Limits: v1alpha1.ListenerLimits{Startups: v1alpha1.ListenerStartups{PerSource: new(int32(7))}},
		}, true, 7},
	} {
		s := Settings(&v1alpha1.SFTPListener{Spec: tc.spec}, Trust{}, PodVolumePath)
		if s.Sources.Penalties != tc.penalties || s.Startups.PerSource != tc.perSource {
			t.Errorf("%s: penalties %v, per source %d", tc.name, s.Sources.Penalties, s.Startups.PerSource)
		}
		if (s.ProxyProtocol != nil) != (tc.spec.ProxyProtocol.Mode == v1alpha1.ProxyProtocolRequired) {
			t.Errorf("%s: PROXY protocol %v", tc.name, s.ProxyProtocol)
		}
	}
}
