package admission

import (
	"net/netip"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// origin is where a connection comes from, as its limits and penalties see it: according to
// the configuration at accept.
type origin struct {
	// source is the network whose connections count together. It is invalid if the
	// connection is not TCP, and then nothing is counted.
	source netip.Prefix
	// exempt sources have no penalties and no limit per source.
	exempt     bool
	penalties  bool
	maxPenalty time.Duration
}

func originOf(client netip.Addr, s *snapshot.Snapshot) origin {
	sources := s.Listener.Sources
	seconds := sources.MaxPenaltySeconds
	if seconds == 0 {
		seconds = config.DefaultMaxPenaltySeconds
	}
	return origin{
		source: sourceOf(client, sources),
		// All connections come through the proxies: a client that claims to be a proxy must not cause the others to be refused.
		exempt:     !client.IsValid() || s.Exempt.Contains(client) || s.Proxies != nil && s.Proxies.Contains(client),
		penalties:  sources.Penalties,
		maxPenalty: time.Duration(seconds) * time.Second,
	}
}

// sourceOf returns the network that an address belongs to.
func sourceOf(client netip.Addr, s config.Sources) netip.Prefix {
	client = client.Unmap()
	bits, standard := s.IPv6PrefixLength, config.DefaultIPv6PrefixLength
	if client.Is4() {
		bits, standard = s.IPv4PrefixLength, config.DefaultIPv4PrefixLength
	}
	if bits == 0 {
		bits = standard
	}
	p, _ := client.Prefix(bits) // without a zone; invalid if the client is invalid
	return p
}

// limited returns the source whose connections are limited, invalid if there is none.
func (o origin) limited() netip.Prefix {
	if o.exempt {
		return netip.Prefix{}
	}
	return o.source
}

func (o origin) penalized() bool { return o.penalties && !o.exempt }
