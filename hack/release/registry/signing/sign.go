package signing

import (
	"encoding/json"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	// BundleType is the media type of a bundle.
	BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// Signature is the type of a statement whose only content is that it is signed.
	Signature = "https://sigstore.dev/cosign/sign/v1"
	// SBOM is the type of a statement that is a bill of materials of CycloneDX.
	SBOM = "https://cyclonedx.org/bom"
	// Provenance is the type of a statement of how something was built.
	Provenance = "https://slsa.dev/provenance/v1"

	payloadType   = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
)

// Subject is what a statement is about.
type Subject struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"`
}

// Statement is an in-toto statement.
type Statement struct {
	Type          string          `json:"_type"`
	Subjects      []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// About returns a statement about one artifact.
func About(digest v1.Hash, predicateType string, predicate []byte) Statement {
	return Statement{
		Type: statementType, Subjects: []Subject{{Digest: map[string]string{digest.Algorithm: digest.Hex}}},
		PredicateType: predicateType, Predicate: predicate,
	}
}

// Attest signs a statement, and returns the bundle as JSON.
func (signer *Signer) Attest(s Statement) ([]byte, error) {
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return signer.bundle(&sign.DSSEData{Data: payload, PayloadType: payloadType})
}

// Sign signs the content of a file, and returns the bundle as JSON.
func (signer *Signer) Sign(content []byte) ([]byte, error) {
	return signer.bundle(&sign.PlainData{Data: content})
}

func (signer *Signer) bundle(content sign.Content) ([]byte, error) {
	signed, err := sign.Bundle(content, signer.key, signer.options)
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(signed)
}
