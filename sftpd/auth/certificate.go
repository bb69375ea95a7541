package auth

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// The critical options that are understood (OpenSSH PROTOCOL.certkeys). A certificate with
// any other is refused, verify-required included: what a hardware key has verified is not
// known here.
const (
	forceCommand  = "force-command"
	sourceAddress = "source-address"
)

// internalSFTP is the one command that may be forced: it is all that there is. With
// arguments it would restrict what the endpoint knows nothing of.
const internalSFTP = "internal-sftp"

// Certificate is what tells one user certificate from another.
type Certificate struct {
	// CA is the fingerprint of the CA's key.
	CA string
	// Serial and KeyID are the CA's.
	Serial uint64
	KeyID  string
	// NotAfter is when it ends, zero for never.
	NotAfter time.Time

	authority string // the CA's key in SSH wire format
}

func describe(c *ssh.Certificate) *Certificate {
	return &Certificate{
		CA: ssh.FingerprintSHA256(c.SignatureKey), Serial: c.Serial, KeyID: c.KeyId,
		NotAfter: publickey.CertificateEnd(c), authority: string(c.SignatureKey.Marshal()),
	}
}

// ended says whether its time is over.
func (c *Certificate) ended(now time.Time) bool {
	return !c.NotAfter.IsZero() && !now.Before(c.NotAfter)
}

// revoked says whether a snapshot revokes it, or its CA.
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

// checkCertificate says what is wrong with a certificate for a login name, which nobody
// needs to have: it does the same work, and finds the same, for every name that is among
// the principals.
func (l *Login) checkCertificate(s *snapshot.Snapshot, username string, c *ssh.Certificate, now time.Time) event.Reason {
	is := describe(c)
	seconds := uint64(max(now.Unix(), 0))
	switch {
	case c.CertType != ssh.UserCert:
		return event.NotAUserCertificate
	case !s.TrustsUserCA([]byte(is.authority)):
		return event.CANotTrusted
	case is.revoked(s):
		return event.CertificateRevoked
	case l.policy.CheckUserKey(c.SignatureKey) != nil, !slices.Contains(l.policy.PublicKeys, c.Signature.Format):
		return event.CANotAllowed
	case !understood(c):
		return event.CertificateOption
	case !slices.Contains(c.ValidPrincipals, username):
		// None at all would stand for everybody; sshd refuses that, too.
		return event.CertificatePrincipal
	case seconds < c.ValidAfter:
		return event.CertificateNotYetValid
	case seconds >= c.ValidBefore && c.ValidBefore != ssh.CertTimeInfinity:
		return event.CertificateExpired
	}
	if from, restricted := c.CriticalOptions[sourceAddress]; restricted && !admits(from, l.source) {
		return event.SourceNotAllowed
	}
	if publickey.VerifyCertificate(c) != nil {
		return event.CertificateInvalid
	}
	return ""
}

func understood(c *ssh.Certificate) bool {
	for name, value := range c.CriticalOptions {
		switch {
		case name == sourceAddress:
		case name == forceCommand && value == internalSFTP:
		default:
			return false
		}
	}
	return true
}

// admits says whether a list of addresses and networks has an address. x/crypto would
// compare it with the peer's, which may be a proxy. A list that cannot be read has none.
func admits(list string, source netip.Addr) bool {
	prefixes, err := publickey.ParseNetworks(list)
	if err != nil {
		return false
	}
	texts := make([]string, 0, len(prefixes))
	for _, p := range prefixes {
		texts = append(texts, p.String())
	}
	set, err := networks.Parse(texts)
	return err == nil && set.Contains(source)
}

// recheckCertificate says whether a login's certificate would still do.
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
