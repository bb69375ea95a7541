package platform

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// EventBounds are where listeners may send events besides Services of their own namespaces. Unlike other bounds, those that
// are missing allow nothing: requests to any address would reach what only the cluster is meant to reach.
type EventBounds struct {
	// Hosts that URLs may name: events.example.com, or *.example.com for all names below it, or <service>.<namespace>.svc for
	// a Service of another namespace.
	Hosts []string `json:"hosts,omitempty"`
	// Networks are private networks, in CIDR notation, that Hosts may be in. Without any, they must have public addresses.
	Networks []string `json:"networks,omitempty"`
}

// maxEventBounds bounds each list.
const maxEventBounds = 64

var eventHostRE = regexp.MustCompile(`^(\*\.)?([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*[a-z]([-a-z0-9]*[a-z0-9])?$`)

// special are networks that no bound can allow: the node itself, and where clouds have their metadata.
var special = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("::/127"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("fd00:ec2::/32"),
}

func (e *EventBounds) validate() error {
	if e == nil {
		return nil
	}
	var errs []error
	if len(e.Hosts) > maxEventBounds || len(e.Networks) > maxEventBounds {
		errs = append(errs, fmt.Errorf("bounds.events has a list of more than %d", maxEventBounds))
	}
	for _, h := range e.Hosts {
		if !eventHostRE.MatchString(h) {
			errs = append(errs, fmt.Errorf("bounds.events.hosts: %q must be a DNS name in lower case, or \"*.\" and a name for all hosts below it", h))
		}
	}
	for _, n := range e.Networks {
		p, err := netip.ParsePrefix(n)
		if err != nil || p != p.Masked() || p.Addr().Is4In6() {
			errs = append(errs, fmt.Errorf("bounds.events.networks: %q must be a network in CIDR notation that begins with its first address", n))
			continue
		}
		for _, s := range special {
			if p.Overlaps(s) {
				errs = append(errs, fmt.Errorf("bounds.events.networks: %q contains addresses of %s, which are never allowed", n, s))
			}
		}
	}
	return errors.Join(errs...)
}

// EventHost returns why events may not be sent to a host, "" if they may.
func (p *Policy) EventHost(host string) string {
	if p != nil && p.unusable {
		return fmt.Sprintf("must not have the host %s until the platform's policy can be used", host)
	}
	var allowed []string
	if p != nil && p.Bounds.Events != nil {
		allowed = p.Bounds.Events.Hosts
	}
	if hasHost(allowed, host) {
		return ""
	}
	return fmt.Sprintf("must not have the host %s: the platform allows %s, and Services of the listener's own namespace (bounds.events.hosts)", host, choice(allowed))
}

// hasHost reports whether a host is one of those in a list, or below one of them that begins with "*.".
func hasHost(allowed []string, host string) bool {
	return slices.ContainsFunc(allowed, func(pattern string) bool {
		below, ok := strings.CutPrefix(pattern, "*")
		return ok && strings.HasSuffix(host, below) || pattern == host
	})
}

// EventNetworks returns the private networks that events may be sent to.
func (p *Policy) EventNetworks() []string {
	if p == nil || p.Bounds.Events == nil {
		return nil
	}
	return p.Bounds.Events.Networks
}
