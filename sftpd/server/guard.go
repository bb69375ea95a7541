package server

import (
	"net"
	"net/netip"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
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
	client = client.Unmap().WithZone("")
	bits, standard := s.IPv6PrefixLength, defaultIPv6PrefixLength
	if client.Is4() {
		bits, standard = s.IPv4PrefixLength, defaultIPv4PrefixLength
	}
	if bits == 0 {
		bits = standard
	}
	p, err := client.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// limited is the source whose connections are bounded, not valid for none.
func (o origin) limited() netip.Prefix {
	if o.exempt {
		return netip.Prefix{}
	}
	return o.source
}

func (o origin) penalised() bool { return o.penalties && !o.exempt }

// guard decides whether a connection from a known address may go on, and registers it.
// The cheapest comes first, and what one source does to itself before what concerns all.
func (s *Server) guard(c *conn, current *snapshot.Snapshot) (reason string) {
	c.origin = originOf(c.source(), current)
	switch {
	case !current.AllowFrom.Admits(c.source()):
		return reasonSourceNotAllowed
	case c.origin.penalised() && s.penalties.Refuses(c.origin.source):
		return reasonPenalised
	}
	displaced, reason := s.registry.add(c, s.limitsOf(current))
	if displaced != nil {
		displaced.abort(reasonDisplaced)
	}
	return reason
}

func (s *Server) limitsOf(current *snapshot.Snapshot) limits {
	return limits{
		connections: min(current.Listener.Limits.MaxConnections, s.mostConnections),
		startups:    current.Listener.Startups,
	}
}

// fewDescriptors says, once, that the process cannot have as many connections as it is told to.
func (s *Server) fewDescriptors(current *snapshot.Snapshot) {
	if wanted := current.Listener.Limits.MaxConnections; wanted > s.mostConnections {
		s.warned.Do(func() {
			s.Log.Warn("the limit of open files (RLIMIT_NOFILE) allows fewer connections than the configuration",
				"connections", s.mostConnections, "configured", wanted)
		})
	}
}

// penalise counts what the source did.
func (c *conn) penalise(e penalty.Event) {
	if c.origin.penalised() {
		c.server.penalties.Add(c.origin.source, e, c.origin.maxPenalty)
	}
}

// penaliseHolding counts that it held a place for a time and left without a credential.
func (c *conn) penaliseHolding(held time.Duration) {
	if c.origin.penalised() {
		c.server.penalties.AddHeld(c.origin.source, held, c.origin.maxPenalty)
	}
}

// penaliseLogin counts a credential that was refused.
func (c *conn) penaliseLogin(username string) {
	if c.origin.penalised() {
		c.server.penalties.AddLogin(c.origin.source, username, c.origin.maxPenalty)
	}
}

// barred says whether a user is to be refused from here.
func (c *conn) barred(username string) bool {
	return c.origin.penalised() && c.server.penalties.RefusesLogin(c.origin.source, username)
}

// forgive is for a user who has logged in.
func (c *conn) forgive(username string) {
	if c.origin.penalised() {
		c.server.penalties.Forgive(c.origin.source, username)
	}
}

// refuse counts a connection that ends before a user is named, and logs it unless the same
// was logged lately.
func (c *conn) refuse(reason, detail string) {
	c.server.Metrics.Refusal(reason)
	e := c.entry(audit.ConnectionRefused, audit.Refused, reason)
	e.Detail = detail
	c.log(e)
}

// log logs a refusal unless the same was logged lately. It does not wait for the log.
func (c *conn) log(e audit.Entry) {
	c.server.refusals.add(e, audit.Refusal{Event: e.Event, Reason: e.Reason, Source: c.origin.source})
}

// drop closes a connection that is refused at once. One that is refused for where it comes
// from is closed without lingering: a thousand a second would fill the kernel's table of
// connections that wait for their end.
func drop(raw net.Conn, reason string) {
	if m, ok := raw.(*meter); ok {
		raw = m.Conn.Conn
	}
	switch reason {
	case reasonSourceNotAllowed, reasonPenalised, reasonNotProxy, reasonStartupsOfSource:
		if tcp, ok := raw.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	_ = raw.Close()
}
