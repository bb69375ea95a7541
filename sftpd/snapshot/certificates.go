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

// KeyRevoked says whether the key of a fingerprint, "SHA256:...", logs nobody in.
func (s *Snapshot) KeyRevoked(fingerprint string) bool { return s.revoked.keys[fingerprint] }

// CertificateRevoked says whether a certificate is revoked by its serial number or key
// ID; ca is the fingerprint of the CA's key. Its keys may be revoked, too.
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

// TrustsUserCA says whether the endpoint trusts a CA for user certificates, by its key's
// SSH wire format.
func (s *Snapshot) TrustsUserCA(wire []byte) bool { return s.userCAs[string(wire)] }

func parseUserCAs(lines []string) (map[string]bool, error) {
	out := make(map[string]bool, len(lines))
	for i, line := range lines {
		key, err := publickey.ParseLine(line)
		if err == nil && len(key.From) > 0 {
			err = errors.New("options have no meaning before the key of a CA")
		}
		if err != nil {
			return nil, fmt.Errorf("authentication.trustedUserCAs[%d]: %w", i, err)
		}
		out[string(key.Marshal())] = true
	}
	return out, nil
}
