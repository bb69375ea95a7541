// Package guard decides which addresses a relay may connect to. The name in a URL is checked by the addresses that it
// resolves to, when connecting: its owner can point it anywhere, for example at a cluster's own services or at the address
// where a cloud provides credentials to its machines.
package guard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// metadata contains the addresses where clouds provide credentials to their machines. Some of them are in networks that a
// platform may want to allow.
var metadata = prefixes("169.254.0.0/16", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::254/128")

// never are networks that no sink may be in, whatever its reach.
var never = prefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", // this host, loopback, link-local with the clouds' metadata
	"192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", // RFC 6890
	"100.100.100.200/32",         // metadata of Alibaba Cloud
	"224.0.0.0/4", "240.0.0.0/4", // multicast, reserved and broadcast
	"::/127", "100::/64", "2001:db8::/32", "fe80::/10", "fec0::/10", "ff00::/8",
	"fd00:ec2::/32",    // metadata of AWS
	"fd20:ce::254/128", // metadata of Google Cloud
	"2001::/23",        // Teredo and other protocols' assignments
	"::ffff:0:0:0/96",  // RFC 2765: IPv4 in another form
)

// private are the networks of Services, pods and companies.
var private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")

// embedding lists the networks whose addresses contain an IPv4 address, and at which byte.
var embedding = []struct {
	netip.Prefix
	at int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},   // NAT64, RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12}, // NAT64, RFC 8215
	{netip.MustParsePrefix("2002::/16"), 2},       // 6to4, RFC 3056
}

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, p := range list {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

// ErrAddress is wrapped by the error for an address that is not allowed.
var ErrAddress = errors.New("events may not be sent to this address")

// Guard decides which addresses one sink may have.
type Guard struct {
	reach   delivery.Reach
	allowed []netip.Prefix
	denied  []netip.Addr
}

// New returns the Guard of a sink. denied are addresses that it never allows, those of the API server.
func New(s delivery.Sink, denied ...netip.Addr) (*Guard, error) {
	g := &Guard{reach: s.Reach, denied: denied}
	for _, n := range s.Networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("network %q: %w", n, err)
		}
		g.allowed = append(g.allowed, p)
	}
	return g, nil
}

// Check returns an error for an address that is not allowed.
func (g *Guard) Check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	in := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	switch {
	case slices.Contains(g.denied, a):
		return fmt.Errorf("%w: %s is an address of the API server", ErrAddress, a)
	case in(metadata):
		return fmt.Errorf("%w: %s is reserved", ErrAddress, a)
	case in(g.allowed):
		return nil
	case !a.IsValid() || in(never):
		return fmt.Errorf("%w: %s is reserved", ErrAddress, a)
	}
	for _, e := range embedding {
		if e.Contains(a) {
			raw := a.As16()
			return g.Check(netip.AddrFrom4([4]byte(raw[e.at : e.at+4])))
		}
	}
	if in(private) {
		if g.reach == delivery.ReachService {
			return nil
		}
		return fmt.Errorf("%w: %s is private, and not in the platform's bounds.events.networks", ErrAddress, a)
	}
	if g.reach == delivery.ReachService || a.Is6() && !globalUnicast.Contains(a) {
		return fmt.Errorf("%w: %s is not the address of a Service", ErrAddress, a)
	}
	return nil
}

// globalUnicast is the part of IPv6 that is assigned to the internet (RFC 4291 section 2.4, IANA).
var globalUnicast = netip.MustParsePrefix("2000::/3")

// Control is the Control function for a net.Dialer. It checks the address that a name has resolved to.
func (g *Guard) Control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %s", ErrAddress, network)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return g.Check(a)
}
