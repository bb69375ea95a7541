package attach

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"

	"k8s.io/apimachinery/pkg/types"
)

// placeSize is the size of an entry of Places in bytes: too many bits to find a name that collides with one of 40,000, and
// a multiple of three, so that base64 adds no padding.
const placeSize = 9

// Places is a set of users that have a login: the prefixes of the SHA-256 of their namespaces and names, sorted. Names may be
// 317 bytes long, and a listener may have 40,000 users, which would exceed the size of a Secret. The zero value is empty.
type Places []byte

// PlacesOf returns the set of some users. Equal sets have equal bytes.
func PlacesOf(users []types.NamespacedName) Places {
	if len(users) == 0 {
		return nil
	}
	all := make([][placeSize]byte, len(users))
	for i, u := range users {
		all[i] = placeOf(u)
	}
	slices.SortFunc(all, func(a, b [placeSize]byte) int { return bytes.Compare(a[:], b[:]) })
	out := make(Places, 0, placeSize*len(all))
	for _, p := range slices.Compact(all) {
		out = append(out, p[:]...)
	}
	return out
}

// Check returns an error for bytes that are not a set of at most a number of users.
func (p Places) Check(most int) error {
	if len(p)%placeSize != 0 || p.Len() > most {
		return fmt.Errorf("%d bytes are not the places of at most %d users", len(p), most)
	}
	return nil
}

// Len returns the number of users.
func (p Places) Len() int { return len(p) / placeSize }

// Has reports whether a user is in the set.
func (p Places) Has(u types.NamespacedName) bool {
	want, n := placeOf(u), p.Len()
	at := func(i int) []byte { return p[i*placeSize : (i+1)*placeSize] }
	i := sort.Search(n, func(i int) bool { return bytes.Compare(at(i), want[:]) >= 0 })
	return i < n && bytes.Equal(at(i), want[:])
}

// placeOf hashes a name. Neither part can contain a slash.
func placeOf(u types.NamespacedName) (out [placeSize]byte) {
	sum := sha256.Sum256([]byte(u.Namespace + "/" + u.Name))
	copy(out[:], sum[:])
	return out
}
