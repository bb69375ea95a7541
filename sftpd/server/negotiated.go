package server

import (
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
)

// negotiated notes the algorithms of a login in its line of the audit log, and counts
// them: so an operator sees who would be locked out before a policy is tightened.
func (c *conn) negotiated(sc *ssh.ServerConn, g *auth.Grant, e *audit.Entry) {
	a, ok := sc.Conn.(ssh.AlgorithmsConnMetadata)
	if !ok {
		return
	}
	n := a.Algorithms()
	e.KeyExchange, e.Cipher, e.MAC = n.KeyExchange, n.Read.Cipher, n.Read.MAC
	e.HostKeyAlgorithm = n.HostKey
	if len(g.Keys) > 0 {
		e.PublicKeyAlgorithm = g.Keys[0].SignatureAlgorithm
	}
	c.server.Metrics.Negotiated(metrics.Algorithms{
		KeyExchange: e.KeyExchange, Cipher: e.Cipher, MAC: e.MAC,
		HostKey: e.HostKeyAlgorithm, PublicKey: e.PublicKeyAlgorithm,
	})
}
