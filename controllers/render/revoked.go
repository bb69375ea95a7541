package render

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/revocation"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

var fingerprintRE = regexp.MustCompile(config.FingerprintPattern)

// Revoked returns what a listener's spec.revokedKeys revokes, and what is wrong with
// entries that are left out.
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
		fingerprint, err := revocation.Fingerprint(k.PublicKey)
		if err != nil {
			return "", fmt.Errorf("publicKey is %w", err)
		}
		return fingerprint, nil
	case !fingerprintRE.MatchString(k.Fingerprint):
		return "", errors.New("fingerprint is not in the form that ssh-keygen -l prints")
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
		if c.CAFingerprint == "" {
			return out, errors.New("certificate: a serial number requires the fingerprint of the CA that assigned it")
		}
	}
	if err := out.Validate(); err != nil {
		return out, fmt.Errorf("certificate: %w", err)
	}
	return out, nil
}
