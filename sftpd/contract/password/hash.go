// Package password hashes and verifies passwords. The operator hashes them with argon2id, or passes on a hash that was made
// elsewhere; the daemon verifies them.
package password

import (
	"errors"
	"strings"
)

// MaxLength limits a password, in bytes.
const MaxLength = 1024

// Hash is a parsed hash: argon2id, bcrypt or SHA-512 crypt.
type Hash interface {
	// Verify reports whether password is the one that was hashed, in constant time.
	Verify(password []byte) bool
	// MaxLength limits what may be passed to Verify, in bytes. Longer passwords match nothing.
	MaxLength() int
	// MemoryKiB is the memory of a verification in KiB, but at least as much as for a new hash: it limits the number of
	// concurrent verifications, and those that need little memory need CPU.
	MemoryKiB() int64
	// Cost identifies the time cost of a verification.
	Cost() string
	// Decoy returns a hash of the same cost that no password matches: verifying it makes
	// an unknown user take as long as a known one.
	Decoy() Hash
	// String is the text that Parse reads.
	String() string
}

// Parse parses a hash: a PHC string of argon2id, or a modular crypt string of bcrypt or SHA-512 crypt. Costs are limited, so
// that no hash can use up the daemon's CPU. The error does not contain the hash.
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

// Decoy returns a decoy for the hashes that New creates.
func Decoy() Hash {
	return argon2idHash{memory: memoryKiB, time: passes, threads: threads}.Decoy()
}

// IsNew reports whether a hash is in the form that New creates in this release.
func IsNew(h Hash) bool { return h.Cost() == Decoy().Cost() }
