package events

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"
)

// KeyID returns the ID of an event about a user's key. It is the same in all pods, and after each restart, so that receivers
// can drop duplicates. It changes with the key's expiration and with the user's UID.
func KeyID(source string, t Type, uid, fingerprint string, end time.Time) string {
	parts := []string{source, string(t), uid, fingerprint, strconv.FormatInt(end.Unix(), 10)}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00"))) // none of the fields contains NUL
	return base32.StdEncoding.EncodeToString(sum[:])[:26]     // as long as random ones
}
