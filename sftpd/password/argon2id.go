// Package password hashes and verifies passwords with argon2id (RFC 9106), in the PHC
// string format. The operator hashes, the daemon verifies.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// MaxLength bounds a password, in bytes.
const MaxLength = 1024

// Parameters of new hashes: OWASP's second recommendation, 19 MiB and two passes. A
// verification costs about 20 ms of CPU time.
const (
	memoryKiB = 19 * 1024
	passes    = 2
	threads   = 1
	saltSize  = 16
	keySize   = 32
)

// Bounds of parameters in hashes that are verified, so that a hash cannot ask for all
// memory.
const (
	maxMemoryKiB = 256 * 1024
	maxPasses    = 16
)

// Hash is a parsed argon2id hash.
type Hash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// New hashes a password with a random salt and returns the PHC string.
func New(password []byte) (string, error) {
	salt := make([]byte, saltSize)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	h := Hash{memory: memoryKiB, time: passes, threads: threads, salt: salt}
	h.key = h.derive(password, keySize)
	return h.String(), nil
}

// String is the PHC string.
func (h Hash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// Parse parses a PHC string of argon2id.
func Parse(s string) (Hash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return Hash{}, errors.New("not an argon2id hash in PHC format")
	}
	var version int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return Hash{}, errors.New("argon2id version is not supported")
	}
	var h Hash
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return Hash{}, errors.New("argon2id parameters are not valid")
	}
	if h.memory < 8 || h.memory > maxMemoryKiB || h.time < 1 || h.time > maxPasses || h.threads < 1 {
		return Hash{}, errors.New("argon2id parameters are out of bounds")
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return Hash{}, errors.New("argon2id salt is not valid")
	}
	if h.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(h.key) < 16 || len(h.key) > 64 {
		return Hash{}, errors.New("argon2id key is not valid")
	}
	return h, nil
}

// MemoryKiB is what a verification allocates, in KiB.
func (h Hash) MemoryKiB() int64 { return int64(h.memory) }

// Verify says whether password is the one that was hashed, in constant time.
func (h Hash) Verify(password []byte) bool {
	got := h.derive(password, uint32(len(h.key))) // at most 64, see Parse
	return subtle.ConstantTimeCompare(got, h.key) == 1
}

func (h Hash) derive(password []byte, size uint32) []byte {
	return argon2.IDKey(password, h.salt, h.time, h.memory, h.threads, size)
}

// Decoy returns a hash that no password matches, with the cost of the real ones:
// verifying it makes an unknown user take as long as a known one.
func Decoy() Hash {
	return Hash{memory: memoryKiB, time: passes, threads: threads, salt: make([]byte, saltSize), key: make([]byte, keySize)}
}
