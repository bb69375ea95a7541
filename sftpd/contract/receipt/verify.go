package receipt

import (
	"bytes"

	"golang.org/x/crypto/ssh"
)

// Verified is a receipt with a valid signature.
type Verified struct {
	*Receipt
	// Raw are the receipt's bytes.
	Raw []byte
}

// VerifyEnvelope decodes and verifies an envelope.
func (s Signers) VerifyEnvelope(data []byte) (*Verified, error) {
	e, err := DecodeEnvelope(data)
	if err != nil {
		return nil, err
	}
	return s.verify(e.Payload, e.Verify)
}

// VerifySSH decodes a receipt and verifies its armored SSH signature.
func (s Signers) VerifySSH(raw, armored []byte) (*Verified, error) {
	return s.verify(raw, func(key ssh.PublicKey) error {
		made, err := VerifySSH(raw, armored)
		if err == nil && !bytes.Equal(made.Marshal(), key.Marshal()) {
			err = ErrUnknownKey
		}
		return err
	})
}

func (s Signers) verify(raw []byte, by func(ssh.PublicKey) error) (*Verified, error) {
	r, err := Decode(raw)
	if err != nil {
		return nil, err
	}
	key, err := s.Key(r)
	if err != nil {
		return nil, err
	}
	if err := by(key); err != nil {
		return nil, err
	}
	return &Verified{r, raw}, nil
}
