package publickey

import (
	"crypto/rand"
	"errors"

	"golang.org/x/crypto/ssh"
)

// CheckPair checks that signatures of a private key can be verified with its public key. OpenSSH's format contains both, and
// x/crypto/ssh's parser does not compare them. The error continues a sentence that starts with the key's name, and contains no
// part of the key.
func CheckPair(s ssh.Signer) error {
	data := []byte("sftp-operator")
	sign := func() (*ssh.Signature, error) { return s.Sign(rand.Reader, data) }
	if m, ok := s.(ssh.MultiAlgorithmSigner); ok {
		// An RSA key's default algorithm uses SHA-1, which FIPS mode refuses.
		sign = func() (*ssh.Signature, error) { return m.SignWithAlgorithm(rand.Reader, data, m.Algorithms()[0]) }
	}
	signature, err := sign()
	if err == nil {
		err = s.PublicKey().Verify(data, signature)
	}
	if err != nil {
		return errors.New("is damaged: its private and public halves do not match; restore it from a backup")
	}
	return nil
}
