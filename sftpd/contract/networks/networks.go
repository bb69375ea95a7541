// Package networks provides sets of networks that report which addresses they contain.
package networks

import (
	"fmt"
	"net/netip"
)

// Set is a set of networks. The zero value is empty. It is immutable and safe for
// concurrent use.
type Set struct{ prefixes []netip.Prefix }

// Parse parses networks in CIDR notation. Host bits are ignored, and a network of IPv4-mapped IPv6 addresses counts as an IPv4
// network.
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

// Union returns the union of two sets.
func (s Set) Union(o Set) Set {
	return Set{append(append([]netip.Prefix(nil), s.prefixes...), o.prefixes...)}
}

// Empty reports whether the set contains no network.
func (s Set) Empty() bool { return len(s.prefixes) == 0 }

// Contains reports whether an address is in one of the networks. An IPv4-mapped IPv6 address counts as IPv4, and a zone is
// ignored. The invalid address is in none.
func (s Set) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range s.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Admits is Contains for a list that allows every address when it is empty.
func (s Set) Admits(a netip.Addr) bool { return s.Empty() || s.Contains(a) }

// Unbounded reports whether one of the networks is all of IPv4 or all of IPv6.
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
