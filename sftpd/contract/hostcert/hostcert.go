// Package hostcert reads host certificates (OpenSSH PROTOCOL.certkeys).
package hostcert

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// Parse reads a host certificate (OpenSSH PROTOCOL.certkeys), one line as
// ssh-keygen -s writes it, and checks what does not change with the time: that it certifies
// a key, as a host, without critical options, of which none is defined for hosts, and that
// the CA's key and signature are such as the policy has. A CA may be of the types of users'
// keys, which are those of host keys and keys in hardware.
func Parse(line string, key ssh.PublicKey, policy cryptopolicy.Policy) (*ssh.Certificate, error) {
	parsed, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	c, isCertificate := parsed.(*ssh.Certificate)
	switch {
	case err != nil || len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 || strings.Contains(strings.TrimSpace(line), "\n"):
		return nil, errors.New("not one line of a host certificate, as ssh-keygen -h -s writes it into a file -cert.pub")
	case !isCertificate:
		return nil, errors.New("it is a public key without a CA's signature; use the content of the file -cert.pub")
	case c.CertType != ssh.HostCert:
		return nil, errors.New("it is not a host certificate but one for users; make it with ssh-keygen -h -s")
	case !bytes.Equal(c.Key.Marshal(), key.Marshal()):
		return nil, fmt.Errorf("it certifies another key, %s, and not %s", ssh.FingerprintSHA256(c.Key), ssh.FingerprintSHA256(key))
	case len(c.CriticalOptions) > 0:
		return nil, errors.New("it has critical options, and clients refuse those of a host certificate; make it without (ssh-keygen -O)")
	case c.ValidAfter >= c.ValidBefore:
		return nil, errors.New("its time ends before it begins; make it with another ssh-keygen -V")
	}
	if err := policy.CheckUserKey(c.SignatureKey); err != nil {
		return nil, fmt.Errorf("the CA's key: %w", err)
	}
	if !slices.Contains(policy.PublicKeys, c.Signature.Format) {
		return nil, fmt.Errorf("crypto policy %s has no signatures of a CA with %s; sign it again", policy.Name, algorithmOf(c.Signature))
	}
	if err := publickey.VerifyCertificate(c); err != nil {
		return nil, errors.New("the CA's signature does not verify; sign it anew")
	}
	return c, nil
}

// algorithmOf names the algorithm of a signature, if it is one: the certificate may say anything.
func algorithmOf(s *ssh.Signature) string {
	known := slices.Concat(ssh.SupportedAlgorithms().PublicKeyAuths, ssh.InsecureAlgorithms().PublicKeyAuths)
	if slices.Contains(known, s.Format) {
		return s.Format
	}
	return "an algorithm that is not known"
}
