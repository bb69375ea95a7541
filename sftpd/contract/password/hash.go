// Package password hashes and verifies passwords. The operator hashes, with argon2id, or
// passes a hash on that somebody else made; the daemon verifies.
package password

import (
	"errors"
	"strings"
)

// MaxLength bounds a password, in bytes.
const MaxLength = 1024

// Hash is a parsed hash. There are those of argon2id, bcrypt and SHA-512 crypt.
type Hash interface {
	// Verify says whether password is the one that was hashed, in constant time.
	Verify(password []byte) bool
	// MaxLength bounds what may be given to Verify, in bytes. Longer passwords match
	// nothing.
	MaxLength() int
	// MemoryKiB is what a verification allocates, in KiB, but at least as much as for a
	// new hash: it bounds how many run at a time, and those that need no memory need CPUs.
	MemoryKiB() int64
	// Cost names what a verification costs in time.
	Cost() string
	// Decoy returns a hash of the same cost that no password matches: verifying it makes
	// an unknown user take as long as a known one.
	Decoy() Hash
	// String is the text that Parse reads.
	String() string
}

// Parse parses a hash: a PHC string of argon2id, or a modular crypt string of bcrypt or
// SHA-512 crypt. Costs are bounded, so that no hash can occupy the daemon. The error does
// not contain the hash.
func Parse(s string) (Hash, error) {
	switch {
	case strings.HasPrefix(s, "$argon2id$"):
		return parseArgon2id(s)
	case strings.HasPrefix(s, "$2"):
		return parseBcrypt(s)
	case strings.HasPrefix(s, "$6$"):
		return parseSHA512(s)
	}
	return nil, errors.New("not a hash of argon2id ($argon2id$...), bcrypt ($2b$...) or SHA-512 crypt ($6$...)")
}

// Decoy is the decoy of hashes that New makes.
func Decoy() Hash {
	return argon2idHash{memory: memoryKiB, time: passes, threads: threads}.Decoy()
}

// IsNew says whether a hash is as New makes them in this release.
func IsNew(h Hash) bool { return h.Cost() == Decoy().Cost() }
