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

// Parameters of new hashes: OWASP's second recommendation, 19 MiB and two passes. A
// verification costs about 20 ms of CPU time.
const (
	memoryKiB = 19 * 1024
	passes    = 2
	threads   = 1
	saltSize  = 16
	keySize   = 32
)

// Limits on the memory of a verification. PHP 7 created hashes with 1 MiB; less protects no password.
const (
	MinMemoryKiB = 1024
	MaxMemoryKiB = 64 * 1024
)

// Limits on further parameters of hashes to be verified, so that a hash cannot use up the CPU: at the limits, a verification
// takes a second of CPU time.
const (
	maxPasses  = 16
	maxThreads = 16
)

// argon2idHash is a hash of argon2id (RFC 9106).
type argon2idHash struct {
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
	h := argon2idHash{memory: memoryKiB, time: passes, threads: threads, salt: salt}
	h.key = h.derive(password, keySize)
	return h.String(), nil
}

// String returns the PHC string.
func (h argon2idHash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

func parseArgon2id(s string) (Hash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return nil, errors.New("not an argon2id hash in PHC format")
	}
	var version int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return nil, errors.New("argon2id version is not supported")
	}
	var h argon2idHash
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return nil, errors.New("argon2id parameters are not valid")
	}
	if h.memory < MinMemoryKiB || h.memory > MaxMemoryKiB || h.time < 1 || h.time > maxPasses || h.threads < 1 || h.threads > maxThreads {
		return nil, fmt.Errorf("argon2id parameters are out of bounds; allowed are m=%d to %d, t=1 to %d, p=1 to %d", MinMemoryKiB, MaxMemoryKiB, maxPasses, maxThreads)
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return nil, errors.New("argon2id salt is not valid")
	}
	if h.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(h.key) < 16 || len(h.key) > 64 {
		return nil, errors.New("argon2id key is not valid")
	}
	return h, nil
}

func (h argon2idHash) MaxLength() int   { return MaxLength }
func (h argon2idHash) MemoryKiB() int64 { return max(int64(h.memory), memoryKiB) }

func (h argon2idHash) Cost() string {
	return fmt.Sprintf("argon2id,%d,%d,%d", h.memory, h.time, h.threads)
}

func (h argon2idHash) Verify(password []byte) bool {
	got := h.derive(password, uint32(len(h.key))) // at most 64, see Parse
	return subtle.ConstantTimeCompare(got, h.key) == 1
}

func (h argon2idHash) derive(password []byte, size uint32) []byte {
	return argon2.IDKey(password, h.salt, h.time, h.memory, h.threads, size)
}

func (h argon2idHash) Decoy() Hash {
	h.salt, h.key = make([]byte, saltSize), make([]byte, keySize)
	return h
}
