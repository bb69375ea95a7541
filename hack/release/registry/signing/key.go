// Package signing creates and verifies signatures in the format of Sigstore's bundles, with a key that is kept in a file, or
// with an OpenID Connect identity.
package signing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// Key is a pair of keys, ECDSA on P-256 with SHA-256. It is a sign.Keypair of sigstore-go.
type Key struct{ private *ecdsa.PrivateKey }

// NewKey creates a key.
func NewKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &Key{private}, err
}

// ReadKey reads a private key, PKCS #8 in PEM. Errors do not quote the file.
func ReadKey(file string) (*Key, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s: not a private key in PEM (PKCS #8, without a password)", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: not a private key of PKCS #8", file)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s: want an ECDSA key on P-256", file)
	}
	return &Key{private}, nil
}

// Write writes the private key to a file that must not exist, and the public key to the file with the same name plus .pub.
func (k *Key) Write(file string) error {
	encoded, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), f.Close())
	if err != nil {
		return err
	}
	public, err := k.GetPublicKeyPem()
	if err != nil {
		return err
	}
	return os.WriteFile(file+".pub", []byte(public), 0o644)
}

// GetHashAlgorithm returns SHA-256.
func (k *Key) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

// GetSigningAlgorithm returns ECDSA on P-256 with SHA-256.
func (k *Key) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

// GetHint returns the identifier of the key in a bundle: the hash of the public key.
func (k *Key) GetHint() []byte {
	encoded, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(encoded)
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}

// GetKeyAlgorithm returns "ECDSA".
func (k *Key) GetKeyAlgorithm() string { return "ECDSA" }

// GetPublicKey returns the public key.
func (k *Key) GetPublicKey() crypto.PublicKey { return k.private.Public() }

// GetPublicKeyPem returns the public key in PEM.
func (k *Key) GetPublicKeyPem() (string, error) {
	encoded, err := cryptoutils.MarshalPublicKeyToPEM(k.private.Public())
	return string(encoded), err
}

// SignData returns the signature of data, and its digest.
func (k *Key) SignData(_ context.Context, data []byte) (signature, digest []byte, err error) {
	sum := sha256.Sum256(data)
	signature, err = k.private.Sign(rand.Reader, sum[:], crypto.SHA256)
	return signature, sum[:], err
}
