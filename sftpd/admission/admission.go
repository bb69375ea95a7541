package admission

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/judge"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// Admission holds the listeners, places and penalties of a server. It is safe for concurrent use.
type Admission struct {
	// MostConnections caps what configurations ask for; 0 means no cap. Set it before the first configuration.
	MostConnections int

	listeners listeners
	penalties *penalty.Tracker
	places    *places
}

// New returns the admission of a server without connections.
func New() *Admission { return &Admission{penalties: penalty.New(time.Now), places: newPlaces()} }

// Penalized returns how many sources are currently penalized.
func (a *Admission) Penalized() int { return a.penalties.Refused() }

// Place is the place of one connection. Its methods are for the goroutine that serves the connection.
type Place struct {
	admission *Admission
	accepted  time.Time
	// abort ends the connection, without waiting for anything.
	abort  func(event.Reason)
	origin origin
	// exchanged reports whether the first key exchange is done.
	exchanged atomic.Bool

	// The fields below are guarded by places. counted is the source that it counts toward.
	standing standing
	counted  netip.Prefix
	// isNamed is set if the connection counts toward a namespace, which is namespace.
	namespace string
	isNamed   bool
}

// NewPlace returns the place of a connection, which is unoccupied until Connect. abort is called when the connection has to
// give up its place before it is logged in, from other goroutines and possibly more than once; it must not block.
func (a *Admission) NewPlace(accepted time.Time, abort func(event.Reason)) *Place {
	return &Place{admission: a, accepted: accepted, abort: abort}
}

// Connect decides by address whether a client may continue, and gives its connection a place.
func (p *Place) Connect(client netip.Addr, s *snapshot.Snapshot) (reason event.Reason) {
	p.origin = originOf(client, s)
	j := judge.Connection{
		SourceNotAllowed: judge.If(!s.AllowFrom.Admits(client)),
		SourcePenalized:  judge.If(p.origin.penalized() && p.admission.penalties.Refuses(p.origin.source)),
	}
	if reason := j.Decide().Reason; reason != "" {
		return reason
	}
	return p.settle(p.admission.places.add(p, p.admission.limitsOf(s)))
}

// ConnectProxy is Connect for a proxy whose client is not known yet; Connect follows. Until then the connection counts as a
// login in progress.
func (p *Place) ConnectProxy(proxy netip.Addr, s *snapshot.Snapshot) (reason event.Reason) {
	p.origin = originOf(proxy, s)
	if !s.Proxies.Contains(proxy) {
		return event.NotAProxy
	}
	return p.settle(p.admission.places.addUnknown(p, p.admission.limitsOf(s)))
}

// settle ends the connection whose place was given to another one.
func (p *Place) settle(displaced *Place, reason event.Reason) event.Reason {
	if displaced != nil {
		displaced.abort(event.Displaced)
	}
	return reason
}

// KeysExchanged records that the first key exchange is done: connections without one are evicted first.
func (p *Place) KeysExchanged() { p.exchanged.Store(true) }

// Named is called when a client has named a user of a namespace, or a different one than before. From now on its connection
// counts toward the namespace's logins in progress.
func (p *Place) Named(namespace string, s *snapshot.Snapshot) (reason event.Reason) {
	return p.admission.places.named(p, namespace, namespaceStartups(s))
}

// LogIn turns a login in progress into a session, unless the place is lost or decide returns a reason against it. No
// place is given away while decide is called.
func (p *Place) LogIn(decide func() event.Reason) event.Reason {
	return p.admission.places.logIn(p, decide)
}

// Leave gives the place back, at the end of the connection's goroutine.
func (p *Place) Leave() { p.admission.places.leave(p) }

// Source returns the network whose connections count together, invalid if the connection is not TCP.
func (p *Place) Source() netip.Prefix { return p.origin.source }

// Drop closes a connection that is refused at accept. One that is refused because of its source is closed without lingering: a
// thousand a second would fill the kernel with connections in TIME_WAIT.
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
