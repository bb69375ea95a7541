package render

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Where a Service hides clients' addresses, a limit for each source would be one for all.
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
		s := Settings(&v1alpha1.SFTPListener{Spec: tc.spec}, PodVolumePath)
		if s.Sources.Penalties != tc.penalties || s.Startups.PerSource != tc.perSource {
			t.Errorf("%s: penalties %v, per source %d", tc.name, s.Sources.Penalties, s.Startups.PerSource)
		}
		if (s.ProxyProtocol != nil) != (tc.spec.ProxyProtocol.Mode == v1alpha1.ProxyProtocolRequired) {
			t.Errorf("%s: PROXY protocol %v", tc.name, s.ProxyProtocol)
		}
	}
}

func TestPolicyAt(t *testing.T) {
	end := metav1.NewTime(time.Date(2027, 6, 30, 22, 0, 0, 0, time.UTC))
	l := &v1alpha1.SFTPListener{Spec: v1alpha1.SFTPListenerSpec{CryptoPolicy: v1alpha1.CryptoLegacy2026, CryptoPolicyExpirationTime: &end}}
	before := PolicyAt(l, end.Add(-time.Second))
	if before.Name != v1alpha1.CryptoLegacy2026 || before.Expires != &end || before.Warning(l) != "" {
		t.Errorf("before its end: %+v", before)
	}
	after := PolicyAt(l, end.Time)
	if after.Name != v1alpha1.CryptoModern2026 || after.Expires != nil {
		t.Errorf("at its end: %+v", after)
	}
	const warning = "cryptoPolicy Legacy2026 ended at 2027-06-30T22:00:00Z, Modern2026 is offered in its place; set spec.cryptoPolicy to that, or a later spec.cryptoPolicyExpirationTime"
	if got := after.Warning(l); got != warning {
		t.Errorf("warning %q", got)
	}
	if p := PolicyAt(&v1alpha1.SFTPListener{}, end.Time); p.Name != v1alpha1.CryptoModern2026 || p.Ended != "" {
		t.Errorf("by default: %+v", p)
	}
}
