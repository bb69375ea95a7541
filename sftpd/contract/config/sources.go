package config

import (
	"errors"
	"fmt"
	"net/netip"
)

// ProxyProtocol says that connections come through proxies which put a PROXY protocol
// header, version 1 or 2, before everything else. One without it is refused.
type ProxyProtocol struct {
	// TrustedFrom are the networks of the proxies, in CIDR notation. Connections from
	// elsewhere are refused.
	TrustedFrom []string `json:"trustedFrom"`
}

// Startups bound the connections that are not logged in yet, as OpenSSH's MaxStartups.
// The zero value sets no bound beside Limits.MaxConnections.
type Startups struct {
	// Begin is from how many such connections on new ones are refused at random, with a
	// probability that rises from DropPercent to 100 % at Full.
	Begin       int `json:"begin"`
	DropPercent int `json:"dropPercent"`
	Full        int `json:"full"`
	// PerSource is how many a single source may have; 0 sets no bound.
	PerSource int `json:"perSource,omitempty"`
}

// Sources say how clients are told apart by their addresses, and how those that
// misbehave are kept away.
type Sources struct {
	// IPv4PrefixLength and IPv6PrefixLength say how many leading bits make up a source: 32
	// and 128 make each address one of its own. 0 stands for 32 and 64.
	IPv4PrefixLength int `json:"ipv4PrefixLength,omitempty"`
	IPv6PrefixLength int `json:"ipv6PrefixLength,omitempty"`
	// Penalties is whether sources that misbehave are refused for a while.
	Penalties bool `json:"penalties,omitempty"`
	// MaxPenaltySeconds bounds a penalty; 0 stands for 600.
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
