package signing

import (
	"errors"
	"time"

	"github.com/sigstore/sigstore-go/pkg/sign"
)

// The services of Sigstore's public instance.
const (
	fulcio = "https://fulcio.sigstore.dev"
	rekor  = "https://rekor.sigstore.dev"
)

// Signer signs with its own key, or with single-use keys that are certified for an identity.
type Signer struct {
	key     sign.Keypair
	options sign.BundleOptions
}

// WithKey returns the signer of a key.
func WithKey(key *Key) *Signer { return &Signer{key: key} }

// Keyless returns a signer whose certificate names the identity in an OpenID Connect token, and whose signatures are in the
// public transparency log. It needs network access, and a token that is valid until the last signature.
func Keyless(token string) (*Signer, error) {
	if token == "" {
		return nil, errors.New("no token of the identity to sign with: set SIGSTORE_ID_TOKEN")
	}
	key, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, options: sign.BundleOptions{
		CertificateProvider:        sign.NewFulcio(&sign.FulcioOptions{BaseURL: fulcio, Timeout: 30 * time.Second, Retries: 2}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: token},
		TransparencyLogs:           []sign.Transparency{sign.NewRekor(&sign.RekorOptions{BaseURL: rekor, Timeout: 60 * time.Second, Retries: 2})},
	}}, nil
}
