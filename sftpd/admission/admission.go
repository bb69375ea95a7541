package admission

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// Admission has the listeners, places and penalties of a server. It is safe for concurrent use.
type Admission struct {
	// MostConnections bounds what configurations say, 0 for not at all. It may be changed before there is any.
	MostConnections int

	listeners listeners
	penalties *penalty.Book
	places    *places
}

// New returns the admission of a server where nobody is connected yet.
func New() *Admission { return &Admission{penalties: penalty.New(time.Now), places: newPlaces()} }

// Penalized returns how many sources are refused for a while.
func (a *Admission) Penalized() int { return a.penalties.Refused() }

// Place is that of one connection. Its methods are for the goroutine that serves the connection.
type Place struct {
	admission *Admission
	accepted  time.Time
	// abort ends the connection, without waiting for anything.
	abort  func(event.Reason)
	origin origin
	// exchanged is whether the first key exchange is done.
	exchanged atomic.Bool

	// The others are the places'. counted is the source in whose count it is.
	standing standing
	counted  netip.Prefix
}

// NewPlace returns the place of a connection, which has none before it connects. abort is called, by other goroutines and
// maybe more than once, if it has to give its place up before it is logged in; it must not wait for anything.
func (a *Admission) NewPlace(accepted time.Time, abort func(event.Reason)) *Place {
	return &Place{admission: a, accepted: accepted, abort: abort}
}

// Connect decides whether a client may go on, by its address, and gives its connection a place.
func (p *Place) Connect(client netip.Addr, s *snapshot.Snapshot) (reason event.Reason) {
	p.origin = originOf(client, s)
	switch {
	case !s.AllowFrom.Admits(client):
		return event.SourceNotAllowed
	case p.origin.penalized() && p.admission.penalties.Refuses(p.origin.source):
		return event.SourcePenalized
	}
	return p.settle(p.admission.places.add(p, p.admission.limitsOf(s)))
}

// ConnectProxy is Connect for a proxy whose client is not known yet; Connect follows. Until then the connection counts with
// those that are not logged in.
func (p *Place) ConnectProxy(proxy netip.Addr, s *snapshot.Snapshot) (reason event.Reason) {
	p.origin = originOf(proxy, s)
	if !s.Proxies.Contains(proxy) {
		return event.NotAProxy
	}
	return p.settle(p.admission.places.addUnknown(p, p.admission.limitsOf(s)))
}

// settle ends the connection whose place was given to another.
func (p *Place) settle(displaced *Place, reason event.Reason) event.Reason {
	if displaced != nil {
		displaced.abort(event.Displaced)
	}
	return reason
}

// KeysExchanged is for a connection whose first key exchange is done: silent ones have to go before it.
func (p *Place) KeysExchanged() { p.exchanged.Store(true) }

// LogIn makes a login in progress one that has succeeded, unless the place is lost or decide has a reason against it. No
// place is given away while decide is called.
func (p *Place) LogIn(decide func() event.Reason) event.Reason {
	return p.admission.places.logIn(p, decide)
}

// Leave gives the place back, at the end of the connection's goroutine.
func (p *Place) Leave() { p.admission.places.leave(p) }

// Source is the network whose connections count together, not valid for what is not TCP.
func (p *Place) Source() netip.Prefix { return p.origin.source }

// Drop closes a connection that is refused at once. One that is refused for where it comes
// from is closed without lingering: a thousand a second would fill the kernel's table of
// connections that wait for their end.
func Drop(raw net.Conn, reason event.Reason) {
	switch reason {
	case event.SourceNotAllowed, event.SourcePenalized, event.NotAProxy, event.StartupsOfSource:
		if tcp, ok := raw.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	default:
	}
	_ = raw.Close()
}
