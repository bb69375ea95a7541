package platform

import "testing"

func TestEventHost(t *testing.T) {
	p := parsed(t, everything)
	for host, want := range map[string]bool{
		"events.example.com": true, "a.partners.example.com": true, "a.b.partners.example.com": true, "broker-ingress.knative-eventing.svc": true,
		"partners.example.com": false, "xpartners.example.com": false, "example.com": false, "events.example.com.evil.org": false, "localhost": false,
	} {
		if got := p.EventHost(host); (got == "") != want {
			t.Errorf("%s: %q", host, got)
		}
		for _, none := range []*Policy{nil, {}, parsed(t, "bounds: {events: {}}")} {
			if none.EventHost(host) == "" || len(none.EventNetworks()) > 0 {
				t.Errorf("%s is allowed without a bound", host)
			}
		}
	}
	const want = "must not have the host x.org: the platform allows events.example.com, *.partners.example.com, broker-ingress.knative-eventing.svc, " +
		"and Services of the listener's own namespace (bounds.events.hosts)"
	if got := p.EventHost("x.org"); got != want {
		t.Errorf("%s", got)
	}
}
