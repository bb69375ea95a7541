package server

import (
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// describe returns the description of the connection for events.
func (c *conn) describe() *event.Connection {
	if c.described != nil {
		return c.described
	}
	d := c.about
	d.Network = c.place.Source()
	return &d
}

// describeGrant returns the description of a connection with a completed login.
func (c *conn) describeGrant(g *auth.Grant) *event.Connection {
	d := c.describe()
	d.User, d.Account = g.Username, g.Account
	noteGrant(d, g)
	return d
}

// noteGrant adds the factors of a login.
func noteGrant(d *event.Connection, g *auth.Grant) {
	d.Methods, d.Keys = g.Steps.Names(), g.Fingerprints()
	noteCertificate(d, g.Certificate())
}

// noteCertificate adds what identifies a certificate. Nil means none.
func noteCertificate(d *event.Connection, c *auth.Certificate) {
	if c != nil {
		d.Certificate = &event.Certificate{CA: c.CA, KeyID: c.KeyID, Serial: c.Serial}
	}
}

// describeAttempt returns the description of a connection without a completed login. refused is the step that was refused, "" for
// none.
func (l *login) describeAttempt(refused factor.Step) *event.Connection {
	d := l.describe()
	noteCertificate(d, l.attempts.Certificate())
	if g := l.auth.Done(); g != nil {
		noteGrant(d, g)
	}
	if refused != "" {
		d.Methods = append(slices.Clip(d.Methods), string(refused))
	}
	if l.peer == nil {
		return d
	}
	d.User = l.peer.User()
	if s := l.server.Current(); s != nil {
		if u, ok := s.Lookup(d.User); ok {
			d.Account = u.Account
		}
	}
	return d
}

// algorithms returns the algorithms of a login.
func algorithms(sc *ssh.ServerConn, g *auth.Grant) (out event.Algorithms) {
	a, ok := sc.Conn.(ssh.AlgorithmsConnMetadata)
	if !ok {
		return out
	}
	n := a.Algorithms()
	out = event.Algorithms{KeyExchange: n.KeyExchange, Cipher: n.Read.Cipher, MAC: n.Read.MAC, HostKey: n.HostKey}
	if len(g.Keys) > 0 {
		out.PublicKey = g.Keys[0].SignatureAlgorithm
	}
	return out
}
