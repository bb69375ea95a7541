package config

import (
	"errors"
	"fmt"
	"regexp"
)

// MaxRevoked bounds the entries of Revoked: what is looked up at each login, and what of
// the settings' Secret, which has 950 kB, they take.
const MaxRevoked = 4096

// FingerprintPattern matches the SHA-256 fingerprint of a key as OpenSSH prints it. The
// last of its base64 digits has four bits alone, so it is one of sixteen: any other would
// be no fingerprint that a key can have.
const FingerprintPattern = `^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$`

var fingerprintRE = regexp.MustCompile(FingerprintPattern)

// Revoked is what logs nobody in, whatever the users' records say.
type Revoked struct {
	// Keys are the fingerprints of public keys: of users, of certificates, and of CAs.
	Keys []string `json:"keys,omitempty"`
	// Certificates of users.
	Certificates []RevokedCertificate `json:"certificates,omitempty"`
}

// RevokedCertificate names user certificates by serial number or key ID (OpenSSH
// PROTOCOL.certkeys), one of the two.
type RevokedCertificate struct {
	// CA is the fingerprint of the CA's key. Empty stands for any.
	CA string `json:"ca,omitempty"`
	// Serial is the serial number, 0 for none: certificates without a number have it.
	Serial uint64 `json:"serial,omitempty"`
	// LastSerial makes it a range, from Serial to LastSerial inclusive; 0 is none.
	LastSerial uint64 `json:"lastSerial,omitempty"`
	KeyID      string `json:"keyID,omitempty"`
}

// validate refuses what would never match: somebody relies on it.
func (r Revoked) validate() error {
	if len(r.Keys)+len(r.Certificates) > MaxRevoked {
		return fmt.Errorf("revoked has more than %d entries", MaxRevoked)
	}
	for _, f := range r.Keys {
		if !fingerprintRE.MatchString(f) {
			return fmt.Errorf("revoked.keys: %q is not the SHA-256 fingerprint of a key", f)
		}
	}
	for _, c := range r.Certificates {
		if err := c.Validate(); err != nil {
			return fmt.Errorf("revoked.certificates: %w", err)
		}
	}
	return nil
}

// Validate refuses what would never match.
func (c RevokedCertificate) Validate() error {
	switch {
	case (c.Serial == 0) == (c.KeyID == ""):
		return errors.New("one of a serial number and a key ID must be set")
	case c.LastSerial != 0 && (c.Serial == 0 || c.LastSerial <= c.Serial):
		return errors.New("a range of serial numbers must go up from one that is not 0")
	case c.CA != "" && !fingerprintRE.MatchString(c.CA):
		return fmt.Errorf("%q is not the SHA-256 fingerprint of a CA's key", c.CA)
	}
	return nil
}
