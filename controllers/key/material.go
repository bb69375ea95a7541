// Package key keeps the Secrets of SFTPKeys.
package key

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// Entries of a key's Secret. The first one is defined by the type kubernetes.io/ssh-auth.
const (
	PrivateEntry = corev1.SSHAuthPrivateKey
	PublicEntry  = "ssh-publickey"
)

// Material is a key pair as a Secret holds it.
type Material struct {
	// Private is the private key's file, nil if the Secret only has the public key.
	Private []byte
	Public  ssh.PublicKey
	// Certificate is the unchecked certificate in a host key's Secret; nil for none.
	Certificate []byte
}

// Line returns the public key in the format of authorized_keys.
func (m Material) Line() string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(m.Public))) }

// Fingerprint returns the SHA-256 fingerprint as OpenSSH prints it.
func (m Material) Fingerprint() string { return ssh.FingerprintSHA256(m.Public) }

// Generate generates a pair.
func Generate(algorithm v1alpha1.KeyAlgorithm, comment string) (Material, error) {
	private, err := newPrivateKey(algorithm)
	if err != nil {
		return Material{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return Material{}, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return Material{}, err
	}
	return Material{Private: pem.EncodeToMemory(block), Public: signer.PublicKey()}, nil
}

func newPrivateKey(algorithm v1alpha1.KeyAlgorithm) (crypto.PrivateKey, error) {
	switch algorithm {
	case v1alpha1.KeyEd25519, "":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case v1alpha1.KeyECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case v1alpha1.KeyRSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case v1alpha1.KeyRSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return nil, fmt.Errorf("algorithm %q is not known", algorithm)
}

// maxPrivate bounds the file of a private key in bytes. One of RSA with 16384 bits has 13 kB. Whoever may write Secrets decides the
// size, and the time to parse a key grows faster than its square: 16384 bits took 0.2 seconds, 120 kB 80 (measured on 2026-11-30).
const maxPrivate = 16 << 10

// Parse reads a pair from a Secret's data. A Client key may have only the public key. The
// error says what to do, and contains nothing secret.
func Parse(data map[string][]byte, usage v1alpha1.KeyUsage) (Material, error) {
	private, ok := data[PrivateEntry]
	if !ok || len(private) == 0 {
		if usage == v1alpha1.KeyUsageHost {
			return Material{}, fmt.Errorf("it has no entry %q; put the private key there", PrivateEntry)
		}
		return parsePublic(data)
	}
	if len(private) > maxPrivate {
		return Material{}, fmt.Errorf("the entry %q has %d bytes, and a private key has at most %d", PrivateEntry, len(private), maxPrivate)
	}
	signer, err := ssh.ParsePrivateKey(private)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return Material{}, fmt.Errorf("the private key in %q is protected by a passphrase; remove it with ssh-keygen -p", PrivateEntry)
	case err != nil:
		return Material{}, fmt.Errorf("the entry %q is not a private key in OpenSSH or PEM format", PrivateEntry)
	}
	if err := publickey.Check(signer.PublicKey()); err != nil {
		return Material{}, fmt.Errorf("the entry %q cannot be used: %w", PrivateEntry, err)
	}
	if err := publickey.CheckPair(signer); err != nil {
		return Material{}, fmt.Errorf("the private key in %q %w", PrivateEntry, err)
	}
	m := Material{Private: private, Public: signer.PublicKey()}
	if usage == v1alpha1.KeyUsageHost {
		m.Certificate = data[CertificateEntry]
	}
	return m, nil
}

func parsePublic(data map[string][]byte) (Material, error) {
	line, ok := data[PublicEntry]
	if !ok {
		return Material{}, fmt.Errorf("it has neither an entry %q nor %q; put a key there", PrivateEntry, PublicEntry)
	}
	k, err := publickey.ParseLine(strings.TrimSpace(string(line)))
	if err != nil {
		return Material{}, fmt.Errorf("the entry %q: %w", PublicEntry, err)
	}
	return Material{Public: k.PublicKey}, nil
}
