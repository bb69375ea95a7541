package hostkeys

import (
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

// Material is a host key with its private key.
type Material struct {
	key.Material
	// Certificate is a certificate that the policy allows, nil for none.
	Certificate *ssh.Certificate
}

// WithCertificate finds the certificate of a key that can be presented under a policy, and under the one that follows it.
// The key is usable even with an error.
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

// CertificateLine returns the certificate in the form for pods, "" for none.
func (m Material) CertificateLine() string {
	if m.Certificate == nil {
		return ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(m.Certificate)))
}
