// Package networks holds sets of networks and tells which addresses are in them.
package networks

import (
	"fmt"
	"net/netip"
)

// Set is a set of networks. The zero value is empty. It is immutable and safe for
// concurrent use.
type Set struct{ prefixes []netip.Prefix }

// Parse parses networks in CIDR notation. Bits of the host are ignored, and a network of
// IPv4 addresses mapped into IPv6 counts as one of IPv4.
func Parse(networks []string) (Set, error) {
	var s Set
	for _, n := range networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return Set{}, fmt.Errorf("%q is not a network in CIDR notation", n)
		}
		s.prefixes = append(s.prefixes, unmap(p))
	}
	return s, nil
}

// Union is the set of the networks of both.
func (s Set) Union(o Set) Set {
	return Set{append(append([]netip.Prefix(nil), s.prefixes...), o.prefixes...)}
}

// Empty says whether the set has no network.
func (s Set) Empty() bool { return len(s.prefixes) == 0 }

// Contains says whether an address is in one of the networks. An IPv4 address mapped
// into IPv6 counts as IPv4, and a zone is ignored. The invalid address is in none.
func (s Set) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range s.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Admits is Contains for a list that allows everybody when it is empty.
func (s Set) Admits(a netip.Addr) bool { return s.Empty() || s.Contains(a) }

// Unbounded says whether one of the networks is all of IPv4 or all of IPv6.
func (s Set) Unbounded() bool {
	for _, p := range s.prefixes {
		if p.Bits() == 0 {
			return true
		}
	}
	return false
}

func unmap(p netip.Prefix) netip.Prefix {
	const mappedBits = 96
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
	}
	return p.Masked()
}
