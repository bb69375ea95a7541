package password

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// Limits on the rounds of SHA-512 crypt. The format's minimum is 1,000 and its default is 5,000; 500,000 take half a second of
// CPU time.
const (
	minSHA512Rounds     = 1_000
	defaultSHA512Rounds = 5_000
	maxSHA512Rounds     = 500_000
)

// maxSHA512Length limits a password in bytes: each round hashes all of it once or twice.
const maxSHA512Length = 256

// sha512RE matches "SHA-crypt" by Ulrich Drepper, version 0.6, as in shadow(5).
var sha512RE = regexp.MustCompile(`^\$6\$(?:rounds=([1-9][0-9]{3,8})\$)?([./0-9A-Za-z]{1,16})\$[./0-9A-Za-z]{86}$`)

type sha512Hash struct {
	algorithm.Digest
	text   string
	rounds int
}

func parseSHA512(s string) (Hash, error) {
	parts := sha512RE.FindStringSubmatch(s)
	if parts == nil {
		return nil, errors.New("not a SHA-512 crypt hash: it must be $6$, optionally rounds=N$, 1 to 16 characters of salt, another $, and 86 characters")
	}
	rounds := defaultSHA512Rounds
	if parts[1] != "" {
		rounds, _ = strconv.Atoi(parts[1]) // digits, see above
	}
	if rounds < minSHA512Rounds || rounds > maxSHA512Rounds {
		return nil, fmt.Errorf("the rounds of SHA-512 crypt are out of bounds; allowed are %d to %d", minSHA512Rounds, maxSHA512Rounds)
	}
	digest, err := shacrypt.DecodeVariant(shacrypt.VariantSHA512)(s)
	if err != nil {
		return nil, errors.New("not a SHA-512 crypt hash") // the error may quote it
	}
	return sha512Hash{Digest: digest, text: s, rounds: rounds}, nil
}

func (h sha512Hash) Verify(password []byte) bool { return h.MatchBytes(password) }
func (h sha512Hash) MaxLength() int              { return maxSHA512Length }
func (h sha512Hash) MemoryKiB() int64            { return memoryKiB }
func (h sha512Hash) Cost() string                { return fmt.Sprintf("sha512,%d", h.rounds) }
func (h sha512Hash) String() string              { return h.text }

func (h sha512Hash) Decoy() Hash {
	decoy, err := parseSHA512(fmt.Sprintf("$6$rounds=%d$%s$%s", h.rounds, strings.Repeat(".", 16), strings.Repeat(".", 86)))
	if err != nil {
		panic("password: " + err.Error()) // the rounds were validated
	}
	return decoy
}
