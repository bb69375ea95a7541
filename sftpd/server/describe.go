package server

import (
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// describe returns what events say of the connection.
func (c *conn) describe() *event.Connection {
	if c.described != nil {
		return c.described
	}
	d := c.about
	d.Network = c.place.Source()
	return &d
}

// describeGrant returns what events say of a connection with a completed login.
func (c *conn) describeGrant(g *auth.Grant) *event.Connection {
	d := c.describe()
	d.User, d.Account = g.Username, g.Account
	noteGrant(d, g)
	return d
}

// noteGrant adds the steps of a login.
func noteGrant(d *event.Connection, g *auth.Grant) {
	d.Methods, d.Keys = g.Methods, g.Fingerprints()
	noteCertificate(d, g.Certificate())
}

// noteCertificate adds what tells a certificate from others. Nil is none.
func noteCertificate(d *event.Connection, c *auth.Certificate) {
	if c != nil {
		d.Certificate = &event.Certificate{CA: c.CA, KeyID: c.KeyID, Serial: c.Serial}
	}
}

// describeAttempt returns what events say of a connection without a completed login. The method is the one that was refused,
// "" for none.
func (l *login) describeAttempt(method string) *event.Connection {
	d := l.describe()
	noteCertificate(d, l.attempts.Certificate())
	if g := l.auth.Done(); g != nil {
		noteGrant(d, g)
	}
	if method != "" {
		d.Methods = append(slices.Clip(d.Methods), method)
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

// algorithms are those of a login.
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
