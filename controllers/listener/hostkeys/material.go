package hostkeys

import (
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

// Material is a host key with its private half.
type Material struct {
	key.Material
	// Certificate is one that the policy admits, nil for none.
	Certificate *ssh.Certificate
}

// WithCertificate finds the certificate of a key that can be presented under a policy, and under the one that comes after
// it. The key is usable with an error, too.
func WithCertificate(m key.Material, policy render.Policy) (Material, error) {
	out := Material{Material: m}
	c, err := key.HostCertificate(m, policy.Policy)
	if err == nil && policy.Expires != nil {
		var next cryptopolicy.Policy
		if next, err = cryptopolicy.Lookup(cryptopolicy.Default); err == nil {
			c, err = key.HostCertificate(m, next)
		}
	}
	if err == nil {
		out.Certificate = c
	}
	return out, err
}

// CertificateLine returns the certificate as pods get it, "" for none.
func (m Material) CertificateLine() string {
	if m.Certificate == nil {
		return ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(m.Certificate)))
}
