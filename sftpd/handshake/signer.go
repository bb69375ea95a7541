package handshake

import (
	"io"

	"golang.org/x/crypto/ssh"
)

// hostKey is a host key of one connection, which observes each key exchange: x/crypto has no hook for it, but asks for a
// signature in each. It implements the methods of the original that x/crypto looks for: Sign for a key's own algorithm,
// otherwise SignWithAlgorithm.
type hostKey struct {
	ssh.MultiAlgorithmSigner
	handshake *Handshake
}

func (k hostKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	if err := k.handshake.signing(); err != nil {
		return nil, err
	}
	return k.MultiAlgorithmSigner.Sign(rand, data)
}

func (k hostKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if err := k.handshake.signing(); err != nil {
		return nil, err
	}
	return k.MultiAlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}

// signing is called before a key exchange is signed, which is its last step.
func (h *Handshake) signing() error {
	h.pace.wait()
	h.releaseSlot()
	h.reach(signed)
	h.rekeying.exchanged()
	if h.exchanges.Add(1) > h.limits.Exchanges && !h.is(loggedIn) {
		return h.exceeded(errTooManyExchanges)
	}
	return nil
}
