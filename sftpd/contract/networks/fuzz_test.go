package networks_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
)

// FuzzSet: an accepted set contains exactly the addresses that its networks contain one by one, however an address is written,
// and only the empty set allows every address.
func FuzzSet(f *testing.F) {
	for _, list := range []string{
		"", "192.0.2.0/24", "192.0.2.77/24,2001:db8::/32", "::ffff:192.0.2.0/120", "::ffff:0:0/96", "::/0", "0.0.0.0/0,::/0",
		"fe80::1%eth0/10", "192.0.2.0/33", "::ffff:0:0/95", "192.0.2.1", "010.0.0.0/8",
	} {
		for _, a := range []string{"192.0.2.9", "::ffff:192.0.2.9", "2001:db8::1", "fe80::1%eth0", "::", ""} {
			f.Add(list, a)
		}
	}
	f.Fuzz(func(t *testing.T, text, address string) {
		list := strings.Split(text, ",")
		if text == "" {
			list = nil
		}
		s, err := networks.Parse(list)
		valid := true
		contains := false
		a, _ := netip.ParseAddr(address)
		for _, n := range list {
			p, err := netip.ParsePrefix(n)
			valid = valid && err == nil
			// Compared by bits; IPv4-mapped addresses count as IPv4.
			if plain := a.Unmap().WithZone(""); err == nil && plain.IsValid() {
				bits, network := p.Bits(), p.Addr()
				if network.Is4In6() && bits >= 96 {
					network, bits = network.Unmap(), bits-96
				}
				x, y := network.AsSlice(), plain.AsSlice()
				same := len(x) == len(y)
				for i := 0; same && i < bits; i++ {
					same = (x[i/8]^y[i/8])>>(7-i%8)&1 == 0
				}
				contains = contains || same
			}
		}
		if valid != (err == nil) {
			t.Fatalf("%q: %v", text, err)
		}
		if err != nil {
			return
		}
		if s.Contains(a) != contains || s.Admits(a) != (contains || len(list) == 0) || s.Empty() != (len(list) == 0) {
			t.Errorf("%q contains %v: %v, want %v; admits %v", text, a, s.Contains(a), contains, s.Admits(a))
		}
	})
}
