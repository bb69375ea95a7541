package auth

import (
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/judge"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// Certificate identifies a user certificate.
type Certificate struct {
	// CA is the fingerprint of the CA's key.
	CA string
	// Serial and KeyID are assigned by the CA.
	Serial uint64
	KeyID  string
	// NotAfter is when it expires, zero for never.
	NotAfter time.Time

	authority string // the CA's key in SSH wire format
}

func describe(c *ssh.Certificate) *Certificate {
	return &Certificate{
		CA: ssh.FingerprintSHA256(c.SignatureKey), Serial: c.Serial, KeyID: c.KeyId,
		NotAfter: publickey.CertificateEnd(c), authority: string(c.SignatureKey.Marshal()),
	}
}

// ended reports whether it has expired.
func (c *Certificate) ended(now time.Time) bool {
	return !c.NotAfter.IsZero() && !now.Before(c.NotAfter)
}

// revoked reports whether a snapshot revokes it or its CA.
func (c *Certificate) revoked(s *snapshot.Snapshot) bool {
	return s.KeyRevoked(c.CA) || s.CertificateRevoked(c.CA, c.Serial, c.KeyID)
}

// split returns the key that a client offers, and its certificate, nil for none.
func split(offered ssh.PublicKey) (ssh.PublicKey, *ssh.Certificate) {
	if c, ok := offered.(*ssh.Certificate); ok {
		return c.Key, c
	}
	return offered, nil
}

// checkCertificate returns what is wrong with a certificate for a login name, whether or not there is such a user: for every
// name among the principals it does the same work and has the same result.
func (l *Login) checkCertificate(s *snapshot.Snapshot, username string, c *ssh.Certificate, now time.Time) event.Reason {
	is := describe(c)
	return judge.Certificate{
		Certificate: c, Username: username, Policy: l.policy, Source: l.source, Now: now,
		CANotTrusted: judge.If(!s.TrustsUserCA([]byte(is.authority))), Revoked: judge.If(is.revoked(s)),
	}.Decide().Reason
}

// recheckCertificate reports whether a login's certificate would still be accepted.
func recheckCertificate(s *snapshot.Snapshot, u *snapshot.User, c *Certificate, now time.Time) event.Reason {
	switch {
	case !s.TrustsUserCA([]byte(c.authority)):
		return event.CANotTrusted
	case !u.Certificates:
		return event.CertificatesNotAccepted
	case c.ended(now):
		return event.CertificateExpired
	}
	return ""
}
