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

// decoys are verified for names without a password. They cost what the users' hashes cost,
// in the same proportions: if there are several kinds of hashes, the time for a name does
// not reveal whether it is a user's.
type decoys struct {
	key []byte
	// hashes of different costs, each for the names from the previous number up to its own,
	// out of the number of users with a password.
	hashes []password.Hash
	upTo   []uint64
}

// newDecoys derives its secret from the first host key: it is the same on all pods of an endpoint and across restarts, because
// otherwise a name whose time changes would evidently not exist. Upcoming keys and renewed certificates do not change it.
func newDecoys(hostKey []byte, users map[string]*User) decoys {
	d := decoys{key: keyed(hostKey, "decoys")}
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

// Decoy returns a hash that no password matches, for a login name without a password. It is
// always the same for the same name.
func (s *Snapshot) Decoy(username string) password.Hash {
	d := s.decoys
	at := choice(d.key, username, d.upTo[len(d.upTo)-1])
	return d.hashes[slices.IndexFunc(d.upTo, func(end uint64) bool { return at < end })]
}

// choice returns a number below total for a login name, which grows with the total.
func choice(key []byte, username string, total uint64) uint64 {
	high, _ := bits.Mul64(binary.BigEndian.Uint64(keyed(key, username)), total)
	return high
}

func keyed(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
