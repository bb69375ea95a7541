// Package hostkeys reads an endpoint's private host keys.
package hostkeys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/publickey"
)

// Parse reads private keys in OpenSSH's format or in PEM (PKCS #1, PKCS #8, SEC 1) and
// restricts each to the policy's signature algorithms and sizes. Of Ed25519, ECDSA on the
// NIST curves and RSA those are admitted that the policy has.
//
// Two keys of one type are an error: a client asks for a type, not for a key, and
// x/crypto's server keeps one key of each (ssh.ServerConfig.AddHostKey), so the second
// would silently replace the first. Errors count keys from 0, as the files' names do.
func Parse(files [][]byte, policy cryptopolicy.Policy) ([]ssh.Signer, error) {
	var signers []ssh.Signer
	byType := map[string]int{}
	for i, data := range files {
		s, err := parse(data, policy)
		if err != nil {
			return nil, fmt.Errorf("host key %d: %w", i, err)
		}
		kind := s.PublicKey().Type()
		if first, twice := byType[kind]; twice {
			return nil, fmt.Errorf("host key %d: type %s is that of host key %d already; an endpoint has one key of each type", i, kind, first)
		}
		byType[kind] = i
		signers = append(signers, s)
	}
	return signers, nil
}

func parse(data []byte, policy cryptopolicy.Policy) (ssh.Signer, error) {
	raw, err := ssh.ParseRawPrivateKey(data)
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) {
		return nil, errors.New("the private key has a passphrase; store it without one (ssh-keygen -p)")
	}
	if err != nil {
		// The parser's own error may quote what it read, and that is a secret.
		return nil, errors.New("not a private key in OpenSSH or PEM format")
	}
	key, err := usable(raw)
	if err != nil {
		return nil, err
	}
	s, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return nil, fmt.Errorf("cannot sign with it: %w", err)
	}
	signer, err := policy.Signer(s)
	if err != nil {
		return nil, err
	}
	if err := publickey.CheckPair(signer); err != nil {
		return nil, fmt.Errorf("the private key %w", err)
	}
	return signer, nil
}

func usable(raw any) (crypto.Signer, error) {
	switch k := raw.(type) {
	case *ed25519.PrivateKey:
		return *k, nil
	case ed25519.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		return k, nil
	default:
		return nil, fmt.Errorf("private keys of type %T are not supported; use Ed25519, ECDSA or RSA", raw)
	}
}
