package publickey

import (
	"time"

	"golang.org/x/crypto/ssh"
)

// lastDate is the last second that RFC 3339 can represent, in the year 9999.
const lastDate = 253402300799

// CertificateEnd returns when a certificate expires, zero for never. The field is unsigned and can hold times that time.Time
// and JSON cannot: an end beyond the year 9999 means never.
func CertificateEnd(c *ssh.Certificate) time.Time {
	if c.ValidBefore > lastDate {
		return time.Time{}
	}
	return time.Unix(int64(c.ValidBefore), 0)
}

// VerifyCertificate checks the CA's signature and nothing else. ssh.CertChecker treats an end of 2^63 seconds or more as
// negative, and refuses such a certificate; sshd accepts it.
func VerifyCertificate(c *ssh.Certificate) error {
	unsigned := *c
	unsigned.Signature = nil
	signed := unsigned.Marshal()
	return c.SignatureKey.Verify(signed[:len(signed)-4], c.Signature) // without the length of a signature
}
