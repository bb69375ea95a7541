package admission

import (
	"net/netip"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

const (
	defaultIPv4PrefixLength  = 32
	defaultIPv6PrefixLength  = 64
	defaultMaxPenaltySeconds = 600
)

// origin is where a connection comes from, as its limits and penalties see it: by the
// configuration at the time of its accept.
type origin struct {
	// source is the network whose connections count together. It is not valid for
	// what is not TCP, and then nothing is counted.
	source netip.Prefix
	// exempt is whether the source has no penalties and no limit of its own.
	exempt     bool
	penalties  bool
	maxPenalty time.Duration
}

func originOf(client netip.Addr, s *snapshot.Snapshot) origin {
	sources := s.Listener.Sources
	seconds := sources.MaxPenaltySeconds
	if seconds == 0 {
		seconds = defaultMaxPenaltySeconds
	}
	return origin{
		source: sourceOf(client, sources),
		// All connections come through the proxies: whatever claims to be one of them
		// must not have the others refused.
		exempt:     !client.IsValid() || s.Exempt.Contains(client) || s.Proxies != nil && s.Proxies.Contains(client),
		penalties:  sources.Penalties,
		maxPenalty: time.Duration(seconds) * time.Second,
	}
}

// sourceOf is the network that an address belongs to.
func sourceOf(client netip.Addr, s config.Sources) netip.Prefix {
	client = client.Unmap()
	bits, standard := s.IPv6PrefixLength, defaultIPv6PrefixLength
	if client.Is4() {
		bits, standard = s.IPv4PrefixLength, defaultIPv4PrefixLength
	}
	if bits == 0 {
		bits = standard
	}
	p, _ := client.Prefix(bits) // without a zone, and not valid if the client is not
	return p
}

// limited is the source whose connections are bounded, not valid for none.
func (o origin) limited() netip.Prefix {
	if o.exempt {
		return netip.Prefix{}
	}
	return o.source
}

func (o origin) penalized() bool { return o.penalties && !o.exempt }
