package snapshot

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// decoys are what is verified for names without a password. They cost what the hashes of
// the users cost, in the same shares: where some hashes are of another kind than others, a
// name that takes the time of one kind may be a user's or not.
type decoys struct {
	key []byte
	// hashes of different costs, each for the names from the number before it up to its
	// own, of the number of users with a password.
	hashes []password.Hash
	upTo   []uint64
}

// newDecoys takes its secret from the first host key: it stays the same for all pods of an
// endpoint and over their restarts, for else a name whose time changes would be nobody's.
// Keys that are to come, or are certified anew, change nothing.
func newDecoys(hostKey []byte, users map[string]*User) decoys {
	secret := hmac.New(sha256.New, hostKey)
	secret.Write([]byte("decoys"))
	d := decoys{key: secret.Sum(nil)}
	counts, byCost := map[string]uint64{}, map[string]password.Hash{}
	for _, u := range users {
		if u.Password != nil {
			cost := u.Password.Cost()
			counts[cost]++
			if byCost[cost] == nil {
				byCost[cost] = u.Password.Decoy()
			}
		}
	}
	total := uint64(0)
	for _, cost := range slices.Sorted(maps.Keys(counts)) {
		total += counts[cost]
		d.hashes, d.upTo = append(d.hashes, byCost[cost]), append(d.upTo, total)
	}
	if total == 0 {
		d.hashes, d.upTo = []password.Hash{password.Decoy()}, []uint64{1}
	}
	return d
}

// Decoy is a hash that no password matches, for a login name without a password. For the
// same name it is the same.
func (s *Snapshot) Decoy(username string) password.Hash {
	d := s.decoys
	mac := hmac.New(sha256.New, d.key)
	mac.Write([]byte(username))
	// The high word is a number below the total that grows with it.
	at, _ := bits.Mul64(binary.BigEndian.Uint64(mac.Sum(nil)), d.upTo[len(d.upTo)-1])
	return d.hashes[slices.IndexFunc(d.upTo, func(end uint64) bool { return at < end })]
}
