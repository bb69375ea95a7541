package signing

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Verifier accepts signatures of one key.
type Verifier struct{ verifier *verify.Verifier }

// ReadVerifier reads a public key in PEM.
func ReadVerifier(file string) (*Verifier, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return NewVerifier(public)
}

// NewVerifier returns the verifier of a public key, which does not expire and needs no transparency log.
func NewVerifier(public crypto.PublicKey) (*Verifier, error) {
	loaded, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(loaded, time.Time{}, time.Time{}), nil
	})
	v, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
	return &Verifier{v}, err
}

// Attestation verifies a bundle that must be about an artifact, and returns its statement.
func (v *Verifier) Attestation(encoded []byte, digest v1.Hash) (Statement, error) {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(encoded); err != nil {
		return Statement{}, err
	}
	sum, err := hex.DecodeString(digest.Hex)
	if err != nil {
		return Statement{}, err
	}
	if _, err := v.verifier.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest(digest.Algorithm, sum), verify.WithKey())); err != nil {
		return Statement{}, err
	}
	envelope := b.GetDsseEnvelope()
	if envelope == nil || envelope.GetPayloadType() != payloadType {
		return Statement{}, errors.New("the bundle holds no in-toto statement")
	}
	var s Statement
	err = json.Unmarshal(envelope.GetPayload(), &s)
	return s, err
}

// File verifies the signature of a file's content.
func (v *Verifier) File(encoded, content []byte) error {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(encoded); err != nil {
		return err
	}
	_, err := v.verifier.Verify(&b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(content)), verify.WithKey()))
	return err
}
