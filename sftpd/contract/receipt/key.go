package receipt

import (
	"crypto/ed25519"
	"errors"

	"golang.org/x/crypto/ssh"
)

// Signer signs receipts. It is safe for concurrent use.
type Signer struct {
	key         ed25519.PrivateKey
	public      ssh.PublicKey
	fingerprint string
}

// NewSigner returns a signer with a key.
func NewSigner(key ed25519.PrivateKey) (*Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("not an Ed25519 private key")
	}
	// The file contains both halves. A signature with halves that do not match would reveal the private one.
	if !ed25519.NewKeyFromSeed(key.Seed()).Equal(key) {
		return nil, errors.New("the halves of the private key do not match")
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, public: public, fingerprint: ssh.FingerprintSHA256(public)}, nil
}

// maxPrivate bounds a private key file in bytes. An Ed25519 key has 400. The limit is needed because a key must be parsed to
// find out its type, and an RSA key of 120 kB takes more than a minute (measured on 2026-11-30).
const maxPrivate = 4 << 10

// ParseSigner parses a private key file: Ed25519, in OpenSSH's format or PKCS #8, without a passphrase. Errors do not quote
// it.
func ParseSigner(file []byte) (*Signer, error) {
	if len(file) > maxPrivate {
		return nil, errors.New("the receipt key must be an Ed25519 key; this file is too long for one")
	}
	raw, err := ssh.ParseRawPrivateKey(file)
	if err != nil {
		return nil, errors.New("not a private key in OpenSSH or PEM format without a passphrase")
	}
	switch key := raw.(type) {
	case *ed25519.PrivateKey:
		return NewSigner(*key)
	case ed25519.PrivateKey:
		return NewSigner(key)
	}
	return nil, errors.New("the receipt key must be an Ed25519 key")
}

// Fingerprint returns the fingerprint of the public key, as in Receipt.Key.
func (s *Signer) Fingerprint() string { return s.fingerprint }

// PublicKey returns the public half.
func (s *Signer) PublicKey() ssh.PublicKey { return s.public }

// Public returns the Ed25519 key of an SSH public key. Keys of other types sign no receipts.
func Public(key ssh.PublicKey) (ed25519.PublicKey, error) {
	if k, ok := key.(ssh.CryptoPublicKey); ok && key.Type() == ssh.KeyAlgoED25519 {
		if e, ok := k.CryptoPublicKey().(ed25519.PublicKey); ok {
			return e, nil
		}
	}
	return nil, errors.New("the receipt key must be an Ed25519 key")
}
