package config

import (
	"errors"
	"fmt"
	"regexp"
)

// MaxRevoked limits the entries of Revoked, because each login looks them up, and they take space in the settings' Secret,
// which has 950 kB.
const MaxRevoked = 4096

// FingerprintPattern matches the SHA-256 fingerprint of a key as OpenSSH prints it. The last of its base64 digits has only four
// bits, so it is one of sixteen: no key's fingerprint ends in any other.
const FingerprintPattern = `^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$`

var fingerprintRE = regexp.MustCompile(FingerprintPattern)

// Revoked lists what must not log in, whatever the users' records say.
type Revoked struct {
	// Keys are the fingerprints of public keys of users, certificates and CAs.
	Keys []string `json:"keys,omitempty"`
	// Certificates of users.
	Certificates []RevokedCertificate `json:"certificates,omitempty"`
}

// RevokedCertificate names user certificates by either serial number or key ID (OpenSSH PROTOCOL.certkeys).
type RevokedCertificate struct {
	// CA is the fingerprint of the CA's key. Empty means any.
	CA string `json:"ca,omitempty"`
	// Serial is the serial number; 0, which certificates without a number have, means none.
	Serial uint64 `json:"serial,omitempty"`
	// LastSerial makes it a range, from Serial to LastSerial inclusive; 0 means none.
	LastSerial uint64 `json:"lastSerial,omitempty"`
	KeyID      string `json:"keyID,omitempty"`
}

// validate rejects entries that would never match, because administrators rely on them.
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

// Validate refuses entries that would never match.
func (c RevokedCertificate) Validate() error {
	switch {
	case (c.Serial == 0) == (c.KeyID == ""):
		return errors.New("either a serial number or a key ID must be set")
	case c.LastSerial != 0 && (c.Serial == 0 || c.LastSerial <= c.Serial):
		return errors.New("a range of serial numbers must go up, and must not begin at 0")
	case c.CA != "" && !fingerprintRE.MatchString(c.CA):
		return fmt.Errorf("%q is not the SHA-256 fingerprint of a CA's key", c.CA)
	}
	return nil
}

// Names reports whether the entry revokes a certificate with this CA, given by its key's fingerprint, this serial number, 0 for
// none, and this key ID.
func (c RevokedCertificate) Names(is RevokedCertificate) bool {
	switch {
	case c.CA != "" && c.CA != is.CA:
		return false
	case c.KeyID != "":
		return c.KeyID == is.KeyID
	case c.LastSerial != 0:
		return c.Serial <= is.Serial && is.Serial <= c.LastSerial
	}
	return c.Serial != 0 && c.Serial == is.Serial
}
