package config

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
)

// Headers of the operator's requests and of the answers to them.
const (
	// NonceHeader of a request is a text that has never been used before. The proof of the answer covers it.
	NonceHeader = "Sftp-Operator-Nonce"
	// ProofHeader holds StatusProof in an answer from StatusPath, and KeyUseProof in a request to KeyUsePath.
	ProofHeader = "Sftp-Operator-Proof"
)

// Length of a nonce: crypto/rand.Text returns 26 characters.
const (
	minNonce = 16
	maxNonce = 64
)

// ValidNonce reports whether a daemon accepts a nonce for a proof.
func ValidNonce(nonce string) bool { return len(nonce) >= minNonce && len(nonce) <= maxNonce }

// StatusKey returns the key with which a daemon proves to the operator that it has the listener's configuration, and the operator
// proves to the daemon that it is the operator. It is derived from the first private host key of the list, whatever its state,
// which is in the configuration's Secret: only clients that may read the Secret have the key. It is never sent, and reveals
// nothing about the host key. A list with a different first key has a different StatusKey, so the operator has to know which one
// the daemon has loaded. Without a host key it is "" and proves nothing.
func StatusKey(hostKeys [][]byte) string {
	if len(hostKeys) == 0 {
		return ""
	}
	return hex.EncodeToString(derive(hostKeys[0], "sftp-operator.io status key v1"))
}

// StatusProof proves an answer from StatusPath: the pod with this name answered exactly this body to this nonce. An answer to a
// different nonce, or from a different pod of the same listener, has a different proof, so an intercepted answer cannot be
// replayed.
func StatusProof(key, nonce, pod string, body []byte) string {
	if key == "" {
		return ""
	}
	return hex.EncodeToString(derive([]byte(key), "status answer v1", nonce, pod, string(body)))
}

// KeyUseQuestion is the content of a request to KeyUsePath.
type KeyUseQuestion struct {
	// Instance and Sequence of the last report that the operator has; the answer contains the later changes.
	Instance string
	Sequence uint64
	// Limit is the maximum number of entries in the answer.
	Limit int
}

// KeyUseProof proves that a request to KeyUsePath came from the operator and is meant for the pod with this name.
//
// A process at the pod's address that is not the pod can replay the request to the pod. It gains nothing: the pod seals each
// answer for holders of the key (SealKeyUse), and the request only tells it which report the operator has. For any other pod
// the proof is wrong. So the daemon need not remember nonces, and clocks need not agree.
func KeyUseProof(key, nonce, pod string, q KeyUseQuestion) string {
	if key == "" {
		return ""
	}
	return hex.EncodeToString(derive([]byte(key), "key use question v1", nonce, pod,
		q.Instance, strconv.FormatUint(q.Sequence, 10), strconv.Itoa(q.Limit)))
}

// ProofsEqual compares two proofs in a time that depends only on their lengths. An empty proof equals no other.
func ProofsEqual(given, want string) bool {
	return want != "" && hmac.Equal([]byte(given), []byte(want))
}

// saltSize is the length of the random start of a sealed answer, in bytes.
const saltSize = 32

// SealOverhead is the number of bytes that sealing adds to an answer.
const SealOverhead = saltSize + 16

// ErrSeal is returned for an answer that was not sealed with the given key, nonce and pod, or that was modified or truncated.
var ErrSeal = errors.New("the seal is broken")

// SealKeyUse encrypts and authenticates an answer from KeyUsePath with AES-256-GCM. Its key is derived from a salt that is
// random in each answer, so it seals only this one, and the nonce of GCM may be constant.
func SealKeyUse(key, nonce, pod string, answer []byte) ([]byte, error) {
	out := make([]byte, saltSize, len(answer)+SealOverhead)
	_, _ = rand.Read(out) // never fails
	aead, err := keyUseCipher(key, nonce, pod, out)
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, make([]byte, aead.NonceSize()), answer, nil), nil //nolint:gosec // see above
}

// OpenKeyUse returns the content of an answer sealed by SealKeyUse. It overwrites sealed.
func OpenKeyUse(key, nonce, pod string, sealed []byte) ([]byte, error) {
	if len(sealed) < SealOverhead {
		return nil, ErrSeal
	}
	aead, err := keyUseCipher(key, nonce, pod, sealed[:saltSize])
	if err != nil {
		return nil, err
	}
	body := sealed[saltSize:]
	if body, err = aead.Open(body[:0], make([]byte, aead.NonceSize()), body, nil); err != nil {
		return nil, ErrSeal
	}
	return body, nil
}

func keyUseCipher(key, nonce, pod string, salt []byte) (cipher.AEAD, error) {
	if key == "" {
		return nil, ErrSeal
	}
	block, err := aes.NewCipher(derive([]byte(key), "key use answer v1", nonce, pod, string(salt)))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// derive returns an HMAC over a label and fields. Each is preceded by its length, so that no two lists of fields give the same
// input.
func derive(key []byte, label string, fields ...string) []byte {
	mac := hmac.New(sha256.New, key)
	write := func(s string) { // a hash never fails
		_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		_, _ = mac.Write([]byte(s))
	}
	write(label)
	for _, f := range fields {
		write(f)
	}
	return mac.Sum(nil)
}
