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

// Parse reads a host certificate (OpenSSH PROTOCOL.certkeys), one line as ssh-keygen -s writes it, and checks what does not
// change with time: that it is a host certificate of a key, without critical options (none is defined for hosts), and that the
// policy allows the CA's key and signature. A CA's key may have any type that users' keys may have: those of host keys and keys
// in hardware.
func Parse(line string, key ssh.PublicKey, policy cryptopolicy.Policy) (*ssh.Certificate, error) {
	parsed, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	c, isCertificate := parsed.(*ssh.Certificate)
	switch {
	case err != nil || len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 || strings.Contains(strings.TrimSpace(line), "\n"):
		return nil, errors.New("not a host certificate: it must be one line, as ssh-keygen -h -s writes it to a -cert.pub file")
	case !isCertificate:
		return nil, errors.New("it is a public key without a CA's signature; use the content of the -cert.pub file")
	case c.CertType != ssh.HostCert:
		return nil, errors.New("it is a user certificate, not a host certificate; create it with ssh-keygen -h -s")
	case !bytes.Equal(c.Key.Marshal(), key.Marshal()):
		return nil, fmt.Errorf("it certifies the key %s, not %s", ssh.FingerprintSHA256(c.Key), ssh.FingerprintSHA256(key))
	case len(c.CriticalOptions) > 0:
		return nil, errors.New("it has critical options, which clients refuse in a host certificate; create it without them (ssh-keygen -O)")
	case c.ValidAfter >= c.ValidBefore:
		return nil, errors.New("its validity ends before it begins; create it with a different -V of ssh-keygen")
	}
	if err := policy.CheckUserKey(c.SignatureKey); err != nil {
		return nil, fmt.Errorf("the CA's key: %w", err)
	}
	if !slices.Contains(policy.PublicKeys, c.Signature.Format) {
		return nil, fmt.Errorf("crypto policy %s does not allow CA signatures with %s; sign it again", policy.Name, algorithmOf(c.Signature))
	}
	if err := publickey.VerifyCertificate(c); err != nil {
		return nil, errors.New("the CA's signature does not verify; sign it again")
	}
	return c, nil
}

// algorithmOf returns the name of a signature's algorithm if it is a known one: the certificate may contain anything.
func algorithmOf(s *ssh.Signature) string {
	known := slices.Concat(ssh.SupportedAlgorithms().PublicKeyAuths, ssh.InsecureAlgorithms().PublicKeyAuths)
	if slices.Contains(known, s.Format) {
		return s.Format
	}
	return "an unknown algorithm"
}
