package hostkeys

import (
	"time"

	"golang.org/x/crypto/ssh"
)

// validAt reports whether a certificate is valid at a given time.
func validAt(c *ssh.Certificate, now time.Time) bool {
	seconds := uint64(max(now.Unix(), 0))
	return seconds >= c.ValidAfter && (seconds < c.ValidBefore || c.ValidBefore == ssh.CertTimeInfinity)
}
