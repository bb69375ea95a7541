package password

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// maxBcryptCost is the logarithm of the maximum number of rounds: 14 takes a second of CPU time, and each increment doubles it.
const maxBcryptCost = 14

// bcryptRE accepts the versions that produce the same hashes: $2b$ is OpenBSD's, $2y$ PHP's and Apache's, $2a$ the previous
// one. $2x$ marks the hashes of a faulty implementation.
var bcryptRE = regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

// bcryptHash is a bcrypt hash. As everywhere, it covers the first 72 bytes of a password.
type bcryptHash struct {
	text string
	cost int
}

func parseBcrypt(s string) (Hash, error) {
	if !bcryptRE.MatchString(s) {
		return nil, errors.New("not a bcrypt hash: it must be $2a$, $2b$ or $2y$, two digits, another $, and 53 characters")
	}
	cost, err := bcrypt.Cost([]byte(s))
	if err != nil || cost < bcrypt.MinCost || cost > maxBcryptCost {
		return nil, fmt.Errorf("bcrypt cost is out of bounds; allowed are %d to %d", bcrypt.MinCost, maxBcryptCost)
	}
	return bcryptHash{text: s, cost: cost}, nil
}

func (h bcryptHash) Verify(password []byte) bool {
	return bcrypt.CompareHashAndPassword([]byte(h.text), password) == nil
}

func (h bcryptHash) MaxLength() int   { return MaxLength }
func (h bcryptHash) MemoryKiB() int64 { return memoryKiB }
func (h bcryptHash) Cost() string     { return fmt.Sprintf("bcrypt,%d", h.cost) }
func (h bcryptHash) String() string   { return h.text }

func (h bcryptHash) Decoy() Hash {
	// All digits are zero in bcrypt's base64: no password is known to have such a hash.
	return bcryptHash{text: fmt.Sprintf("$2b$%02d$%s", h.cost, strings.Repeat(".", 53)), cost: h.cost}
}
