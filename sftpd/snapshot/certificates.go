package snapshot

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// revocations are config.Revoked, indexed.
type revocations struct {
	keys         map[string]bool
	certificates map[config.RevokedCertificate]bool
	ranges       []config.RevokedCertificate // of serial numbers
}

func newRevocations(r config.Revoked) revocations {
	out := revocations{
		keys:         make(map[string]bool, len(r.Keys)),
		certificates: make(map[config.RevokedCertificate]bool, len(r.Certificates)),
	}
	for _, fingerprint := range r.Keys {
		out.keys[fingerprint] = true
	}
	for _, c := range r.Certificates {
		if c.LastSerial != 0 {
			out.ranges = append(out.ranges, c)
		} else {
			out.certificates[c] = true
		}
	}
	return out
}

// KeyRevoked reports whether the key with a fingerprint, "SHA256:...", is revoked.
func (s *Snapshot) KeyRevoked(fingerprint string) bool { return s.revoked.keys[fingerprint] }

// CertificateRevoked reports whether a certificate is revoked by its serial number or key
// ID; ca is the fingerprint of the CA's key. Its keys may be revoked as well.
func (s *Snapshot) CertificateRevoked(ca string, serial uint64, keyID string) bool {
	listed := s.revoked.certificates
	if listed[config.RevokedCertificate{CA: ca, KeyID: keyID}] || listed[config.RevokedCertificate{KeyID: keyID}] {
		return true
	}
	if serial == 0 {
		return false // it has none
	}
	return listed[config.RevokedCertificate{CA: ca, Serial: serial}] || listed[config.RevokedCertificate{Serial: serial}] ||
		slices.ContainsFunc(s.revoked.ranges, func(r config.RevokedCertificate) bool {
			return (r.CA == "" || r.CA == ca) && r.Serial <= serial && serial <= r.LastSerial
		})
}

// TrustsUserCA reports whether the endpoint trusts a CA for user certificates, given its
// key in SSH wire format.
func (s *Snapshot) TrustsUserCA(wire []byte) bool { return s.userCAs[string(wire)] }

func parseUserCAs(lines []string) (map[string]bool, error) {
	out := make(map[string]bool, len(lines))
	for i, line := range lines {
		key, err := publickey.ParseLine(line)
		if err == nil && len(key.From) > 0 {
			err = errors.New("options before a CA's key have no meaning")
		}
		if err != nil {
			return nil, fmt.Errorf("authentication.trustedUserCAs[%d]: %w", i, err)
		}
		out[string(key.Marshal())] = true
	}
	return out, nil
}
