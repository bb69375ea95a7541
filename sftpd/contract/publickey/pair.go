package publickey

import (
	"crypto/rand"
	"errors"

	"golang.org/x/crypto/ssh"
)

// CheckPair says whether what a private key signs can be verified with its public half.
// OpenSSH's format has both, and the parser of x/crypto/ssh does not compare them. The error
// goes on from the name of the key, and contains nothing of it.
func CheckPair(s ssh.Signer) error {
	data := []byte("sftp-operator")
	sign := func() (*ssh.Signature, error) { return s.Sign(rand.Reader, data) }
	if m, ok := s.(ssh.MultiAlgorithmSigner); ok {
		// An RSA key's own algorithm has SHA-1, which FIPS mode refuses.
		sign = func() (*ssh.Signature, error) { return m.SignWithAlgorithm(rand.Reader, data, m.Algorithms()[0]) }
	}
	signature, err := sign()
	if err == nil {
		err = s.PublicKey().Verify(data, signature)
	}
	if err != nil {
		return errors.New("is damaged: its private and public halves do not belong together; restore it from a backup")
	}
	return nil
}
