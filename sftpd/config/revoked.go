package config

import (
	"fmt"
	"regexp"
)

// MaxRevoked bounds the entries of Revoked.
const MaxRevoked = 512

// FingerprintPattern matches the SHA-256 fingerprint of a key as OpenSSH prints it. The
// last of its base64 digits has four bits alone, so it is one of sixteen: any other would
// be no fingerprint that a key can have.
const FingerprintPattern = `^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$`

var fingerprintRE = regexp.MustCompile(FingerprintPattern)

// Revoked is what logs nobody in, whatever the users' records say.
type Revoked struct {
	// Keys are the fingerprints of public keys.
	Keys []string `json:"keys,omitempty"`
}

// validate refuses what would never match: somebody relies on it.
func (r Revoked) validate() error {
	if len(r.Keys) > MaxRevoked {
		return fmt.Errorf("revoked has more than %d entries", MaxRevoked)
	}
	for _, f := range r.Keys {
		if !fingerprintRE.MatchString(f) {
			return fmt.Errorf("revoked.keys: %q is not the SHA-256 fingerprint of a key", f)
		}
	}
	return nil
}
