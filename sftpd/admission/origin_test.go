package admission

import (
	"net/netip"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// TestWhoIsExempt: penalties and per-source limits do not apply to proxies (all other clients come through them), to exempt
// networks, or to connections without an address.
func TestWhoIsExempt(t *testing.T) {
	set := func(list ...string) networks.Set {
		s, err := networks.Parse(list)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	proxies := set("198.51.100.0/24", "2001:db8:f::/48")
	for name, tc := range map[string]struct {
		client  string
		proxies *networks.Set
		exempt  bool
	}{
		"a client":                      {"192.0.2.1", nil, false},
		"a client behind proxies":       {"192.0.2.1", &proxies, false},
		"who claims to be a proxy":      {"198.51.100.7", &proxies, true},
		"an IPv6 proxy":                 {"2001:db8:f::1", &proxies, true},
		"a proxy's address without any": {"198.51.100.7", nil, false},
		"an exempt network":             {"203.0.113.9", nil, true},
		"an exempt one behind proxies":  {"203.0.113.9", &proxies, true},
		"no address":                    {"", nil, true},
	} {
		s := &snapshot.Snapshot{Proxies: tc.proxies, Exempt: set("203.0.113.0/24")}
		s.Listener.Sources = config.Sources{Penalties: true}
		var client netip.Addr
		if tc.client != "" {
			client = netip.MustParseAddr(tc.client)
		}
		o := originOf(client, s)
		if o.exempt != tc.exempt || o.penalized() == tc.exempt || o.limited().IsValid() == tc.exempt {
			t.Errorf("%s: %+v", name, o)
		}
		s.Listener.Sources.Penalties = false
		if originOf(client, s).penalized() {
			t.Errorf("%s is penalized although penalties are off", name)
		}
	}
}
