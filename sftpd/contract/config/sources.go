package config

import (
	"errors"
	"fmt"
	"net/netip"
)

// ProxyProtocol means that connections come through proxies that put a PROXY protocol header, version 1 or 2, before everything
// else. A connection without it is refused.
type ProxyProtocol struct {
	// TrustedFrom are the networks of the proxies, in CIDR notation. Connections from
	// elsewhere are refused.
	TrustedFrom []string `json:"trustedFrom"`
}

// Startups limits the unauthenticated connections, like OpenSSH's MaxStartups. The zero value sets no limit besides
// Limits.MaxConnections.
type Startups struct {
	// Begin is the number of such connections at which new ones begin to be refused at random, with a probability that rises from
	// DropPercent to 100 % at Full.
	Begin       int `json:"begin"`
	DropPercent int `json:"dropPercent"`
	Full        int `json:"full"`
	// PerSource is how many a single source may have; 0 sets no limit.
	PerSource int `json:"perSource,omitempty"`
}

// Meanings of the zero values of Sources.
const (
	DefaultIPv4PrefixLength  = 32
	DefaultIPv6PrefixLength  = 64
	DefaultMaxPenaltySeconds = 600
)

// Sources configures how clients are distinguished by address, and how those that misbehave are kept away.
type Sources struct {
	// IPv4PrefixLength and IPv6PrefixLength are the number of leading bits that make up a source: with 32 and 128, each address
	// is a separate source. 0 means 32 and 64.
	IPv4PrefixLength int `json:"ipv4PrefixLength,omitempty"`
	IPv6PrefixLength int `json:"ipv6PrefixLength,omitempty"`
	// Penalties means that sources that misbehave are temporarily refused.
	Penalties bool `json:"penalties,omitempty"`
	// MaxPenaltySeconds limits a penalty; 0 means 600.
	MaxPenaltySeconds int `json:"maxPenaltySeconds,omitempty"`
	// ExemptFrom are networks without penalties and without Startups.PerSource, in CIDR
	// notation.
	ExemptFrom []string `json:"exemptFrom,omitempty"`
}

func (s Startups) validate() error {
	switch {
	case s == Startups{}:
		return nil
	case s.Begin < 1 || s.Full < s.Begin:
		return errors.New("startups.begin must be at least 1 and startups.full not below it")
	case s.DropPercent < 0 || s.DropPercent > 100:
		return errors.New("startups.dropPercent must be between 0 and 100")
	case s.PerSource < 0:
		return errors.New("startups.perSource must not be negative")
	}
	return nil
}

func (s Sources) validate() error {
	switch {
	case s.IPv4PrefixLength < 0 || s.IPv4PrefixLength > 32:
		return errors.New("sources.ipv4PrefixLength must be between 1 and 32")
	case s.IPv6PrefixLength < 0 || s.IPv6PrefixLength > 128:
		return errors.New("sources.ipv6PrefixLength must be between 1 and 128")
	case s.MaxPenaltySeconds < 0:
		return errors.New("sources.maxPenaltySeconds must not be negative")
	}
	return validateNetworks("sources.exemptFrom", s.ExemptFrom)
}

func (p *ProxyProtocol) validate() error {
	if p == nil {
		return nil
	}
	if len(p.TrustedFrom) == 0 {
		return errors.New("proxyProtocol.trustedFrom must name the networks of the proxies")
	}
	return validateNetworks("proxyProtocol.trustedFrom", p.TrustedFrom)
}

func validateNetworks(field string, networks []string) error {
	for _, n := range networks {
		if _, err := netip.ParsePrefix(n); err != nil {
			return fmt.Errorf("%s: %q is not a network in CIDR notation", field, n)
		}
	}
	return nil
}
