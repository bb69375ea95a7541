package render

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

var fingerprintRE = regexp.MustCompile(config.FingerprintPattern)

// Revoked returns what a listener has revoked, and what is wrong with entries that are
// left out. Keys of any type and size count: a key that is too weak to log in may become
// usable with another crypto policy.
func Revoked(l *v1alpha1.SFTPListener) (out config.Revoked, problems []string) {
	for i, k := range l.Spec.RevokedKeys {
		var err error
		if k.Certificate != nil {
			var c config.RevokedCertificate
			if c, err = revokedCertificate(*k.Certificate); err == nil {
				out.Certificates = append(out.Certificates, c)
			}
		} else {
			var fingerprint string
			if fingerprint, err = revokedFingerprint(k); err == nil {
				out.Keys = append(out.Keys, fingerprint)
			}
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("spec.revokedKeys[%d] revokes nothing: %v", i, err))
		}
	}
	return out, problems
}

func revokedFingerprint(k v1alpha1.RevokedKey) (string, error) {
	switch {
	case k.PublicKey != "":
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.PublicKey))
		if err != nil {
			return "", errors.New(`publicKey is not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`)
		}
		if _, certificate := key.(*ssh.Certificate); certificate {
			return "", errors.New("publicKey is a certificate; give its serial or keyID in certificate, or the key that it certifies, the line in the .pub file beside it")
		}
		return ssh.FingerprintSHA256(key), nil
	case !fingerprintRE.MatchString(k.Fingerprint):
		return "", errors.New("fingerprint is not as ssh-keygen -l prints it")
	}
	return k.Fingerprint, nil
}

func revokedCertificate(c v1alpha1.RevokedCertificate) (config.RevokedCertificate, error) {
	out := config.RevokedCertificate{CA: c.CAFingerprint, KeyID: c.KeyID}
	if c.Serial != "" {
		var err error
		if out.Serial, err = strconv.ParseUint(c.Serial, 10, 64); err != nil || out.Serial == 0 {
			return out, fmt.Errorf("certificate.serial %q is not a number from 1 to 18446744073709551615", c.Serial)
		}
	}
	if err := out.Validate(); err != nil {
		return out, fmt.Errorf("certificate: %w", err)
	}
	return out, nil
}

// revoked is Revoked for the pods. A condition tells of the problems.
func revoked(l *v1alpha1.SFTPListener) config.Revoked {
	out, _ := Revoked(l)
	return out
}
