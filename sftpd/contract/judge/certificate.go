package judge

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// The supported critical options (OpenSSH PROTOCOL.certkeys). A certificate with any other is refused, including
// verify-required, because it is not known here what a hardware key has verified.
const (
	forceCommand  = "force-command"
	sourceAddress = "source-address"
)

// internalSFTP is the only command that may be forced, because there is no other. With arguments it would add restrictions that
// the endpoint does not support.
const internalSFTP = "internal-sftp"

// Certificate is the data against which a user certificate is checked. It is collected for every login name among the
// principals, whether or not there is such a user.
type Certificate struct {
	Certificate *ssh.Certificate
	Username    string
	// Policy is the crypto policy, for the CA's key and signature.
	Policy cryptopolicy.Policy
	// Source is the client's address. An invalid one, for a connection that is not TCP, is in no network; with SourceUnknown it
	// may be in any.
	Source        netip.Addr
	SourceUnknown bool
	Now           time.Time
	// CANotTrusted and Revoked are decided by the listener.
	CANotTrusted, Revoked Answer
}

// Decide returns the first reason to refuse the certificate. The signature is verified last, because a stranger can request
// that at no cost.
func (c Certificate) Decide() Decision {
	is, seconds := c.Certificate, uint64(max(c.Now.Unix(), 0))
	d := first([]check{
		{event.NotAUserCertificate, If(is.CertType != ssh.UserCert)},
		{event.CANotTrusted, c.CANotTrusted},
		{event.CertificateRevoked, c.Revoked},
		{event.CANotAllowed, If(c.Policy.CheckUserKey(is.SignatureKey) != nil || !slices.Contains(c.Policy.PublicKeys, is.Signature.Format))},
		{event.CertificateOption, If(!understood(is))},
		// An empty list would mean everyone; sshd also refuses that.
		{event.CertificatePrincipal, If(!slices.Contains(is.ValidPrincipals, c.Username))},
		{event.CertificateNotYetValid, If(seconds < is.ValidAfter)},
		{event.CertificateExpired, If(seconds >= is.ValidBefore && is.ValidBefore != ssh.CertTimeInfinity)},
		{event.SourceNotAllowed, c.outside()},
	})
	if d.Reason == "" && publickey.VerifyCertificate(is) != nil {
		d.Reason = event.CertificateInvalid
	}
	return d
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

// outside reports whether the source is outside the certificate's networks. x/crypto would compare them with the peer's
// address, which may be a proxy's. A list that cannot be parsed contains no network.
func (c Certificate) outside() Answer {
	list, restricted := c.Certificate.CriticalOptions[sourceAddress]
	if !restricted {
		return No
	}
	prefixes, err := publickey.ParseNetworks(list)
	if err != nil {
		return Yes
	}
	texts := make([]string, 0, len(prefixes))
	for _, p := range prefixes {
		texts = append(texts, p.String())
	}
	set, err := networks.Parse(texts)
	switch {
	case err != nil:
		return Yes
	case c.SourceUnknown:
		return Unknown
	}
	return If(!set.Contains(c.Source))
}
