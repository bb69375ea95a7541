package handshake

import (
	"io"

	"golang.org/x/crypto/ssh"
)

// hostKey is a host key of one connection, which tells of each exchange of keys: x/crypto does not, but asks for a signature
// in each. It has the methods of the original that x/crypto looks for: it calls Sign for a key's own algorithm, otherwise
// SignWithAlgorithm.
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

// signing is called when an exchange of keys is about to be signed, which is the last of it.
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
