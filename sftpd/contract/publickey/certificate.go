package publickey

import (
	"time"

	"golang.org/x/crypto/ssh"
)

// lastDate is the last second that RFC 3339 has a date for, in the year 9999.
const lastDate = 253402300799

// CertificateEnd returns when a certificate ends, zero for never. The field is unsigned and holds
// times that time.Time and JSON do not: an end beyond the year 9999 is none.
func CertificateEnd(c *ssh.Certificate) time.Time {
	if c.ValidBefore > lastDate {
		return time.Time{}
	}
	return time.Unix(int64(c.ValidBefore), 0)
}

// VerifyCertificate checks the CA's signature and nothing else. ssh.CertChecker takes an end of
// 2^63 seconds and more for a negative one, and refuses such a certificate; sshd accepts it.
func VerifyCertificate(c *ssh.Certificate) error {
	unsigned := *c
	unsigned.Signature = nil
	signed := unsigned.Marshal()
	return c.SignatureKey.Verify(signed[:len(signed)-4], c.Signature) // without the length of a signature
}
