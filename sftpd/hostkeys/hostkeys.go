// Package hostkeys reads an endpoint's private host keys, and decides what each of them is used for.
package hostkeys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

func parse(data []byte, policy cryptopolicy.Policy) (ssh.MultiAlgorithmSigner, error) {
	raw, err := ssh.ParseRawPrivateKey(data)
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) {
		return nil, errors.New("the private key has a passphrase; store it without one (ssh-keygen -p)")
	}
	if err != nil {
		// The parser's own error may quote its input, which is secret.
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
