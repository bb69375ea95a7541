package events

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"
)

// KeyID returns the ID of an event about a user's key. All pods, and each start of one, give it the same: receivers can drop
// what several of them have recorded. A new expiration of the key, or a new user with the same name, gives it a different ID.
func KeyID(source string, t Type, uid, fingerprint string, end time.Time) string {
	parts := []string{source, string(t), uid, fingerprint, strconv.FormatInt(end.Unix(), 10)}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00"))) // none of them has NUL
	return base32.StdEncoding.EncodeToString(sum[:])[:26]     // as long as random ones
}
