package networks_test

import (
	"net/netip"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
)

func TestSet(t *testing.T) {
	for _, tc := range []struct {
		networks []string
		address  string
		contains bool
	}{
		{nil, "192.0.2.1", false},
		{[]string{"192.0.2.0/24"}, "192.0.2.255", true},
		{[]string{"192.0.2.0/24"}, "192.0.3.0", false},
		{[]string{"192.0.2.77/24"}, "192.0.2.1", true},
		{[]string{"192.0.2.0/24"}, "::ffff:192.0.2.9", true},
		{[]string{"::ffff:192.0.2.0/120"}, "192.0.2.9", true},
		{[]string{"::ffff:192.0.2.0/120"}, "192.0.3.9", false},
		{[]string{"2001:db8::/32", "192.0.2.0/24"}, "2001:db8:1::1", true},
		{[]string{"fe80::/10"}, "fe80::1%eth0", true},
		{[]string{"::/0"}, "192.0.2.1", false},
		{[]string{"0.0.0.0/0"}, "2001:db8::1", false},
	} {
		s, err := networks.Parse(tc.networks)
		if err != nil {
			t.Fatal(err)
		}
		a := netip.MustParseAddr(tc.address)
		if s.Contains(a) != tc.contains {
			t.Errorf("%v contains %s: %v", tc.networks, a, !tc.contains)
		}
		if want := tc.contains || len(tc.networks) == 0; s.Admits(a) != want {
			t.Errorf("%v admits %s: %v", tc.networks, a, !want)
		}
		if s.Contains(netip.Addr{}) {
			t.Errorf("%v contains the invalid address", tc.networks)
		}
	}
}

func TestUnion(t *testing.T) {
	a, _ := networks.Parse([]string{"192.0.2.0/24"})
	b, _ := networks.Parse([]string{"198.51.100.0/24"})
	u := a.Union(b)
	if !u.Contains(netip.MustParseAddr("192.0.2.1")) || !u.Contains(netip.MustParseAddr("198.51.100.1")) || a.Contains(netip.MustParseAddr("198.51.100.1")) {
		t.Error("a union is not of both, or changed one")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, n := range []string{"", "192.0.2.1", "192.0.2.0/33", "x/8", "fe80::1%eth0/10"} {
		if _, err := networks.Parse([]string{n}); err == nil {
			t.Errorf("%q is accepted as a network", n)
		}
	}
}

func TestUnbounded(t *testing.T) {
	for network, want := range map[string]bool{
		"0.0.0.0/0": true, "192.0.2.7/0": true, "::/0": true, "::ffff:0.0.0.0/96": true,
		"0.0.0.0/1": false, "192.0.2.0/24": false, "2001:db8::/32": false,
	} {
		s, err := networks.Parse([]string{"198.51.100.0/24", network})
		if err != nil {
			t.Fatal(err)
		}
		if s.Unbounded() != want {
			t.Errorf("%s: %v", network, s.Unbounded())
		}
	}
}
