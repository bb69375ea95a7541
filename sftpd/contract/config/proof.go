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

// Headers of the requests of the operator and of the answers to them.
const (
	// NonceHeader of a request is a text that was never used before. The answer is proven for it.
	NonceHeader = "Sftp-Operator-Nonce"
	// ProofHeader of an answer from StatusPath is StatusProof, and of a request to KeyUsePath
	// KeyUseProof.
	ProofHeader = "Sftp-Operator-Proof"
)

// Length of a nonce: crypto/rand.Text gives 26 characters.
const (
	minNonce = 16
	maxNonce = 64
)

// ValidNonce reports whether a daemon proves an answer for a nonce.
func ValidNonce(nonce string) bool { return len(nonce) >= minNonce && len(nonce) <= maxNonce }

// StatusKey is the key with which a daemon proves to the operator that it has the listener's
// configuration, and the operator to the daemon that it is the operator. It is derived from the
// first private host key of the list, whatever its state, which is in the configuration's
// Secret: only those that may read the Secret have it. It is never sent, and reveals nothing of
// the host key. A list with another first key has another StatusKey, so that the operator has to
// know what the daemon has loaded. It is "" without a host key, and proves nothing then.
func StatusKey(hostKeys [][]byte) string {
	if len(hostKeys) == 0 {
		return ""
	}
	return hex.EncodeToString(derive(hostKeys[0], "sftp-operator.io status key v1"))
}

// StatusProof proves an answer from StatusPath: its body, byte by byte, is what the pod of this
// name answered to this nonce. An answer to another nonce, or of another pod of the same
// listener, has another proof, so nothing that was overheard can be shown again.
func StatusProof(key, nonce, pod string, body []byte) string {
	if key == "" {
		return ""
	}
	return hex.EncodeToString(derive([]byte(key), "status answer v1", nonce, pod, string(body)))
}

// KeyUseQuestion is what a request to KeyUsePath asks for.
type KeyUseQuestion struct {
	// Instance and Sequence of the report that the operator keeps, for what came after it.
	Instance string
	Sequence uint64
	// Limit is the number of entries that the answer may have at most.
	Limit int
}

// KeyUseProof proves that a request to KeyUsePath came from the operator and is for the pod of
// this name.
//
// A process at the pod's address that is not the pod can show the request to the pod again. It
// gains nothing: the pod seals each answer for those that have the key (SealKeyUse), and takes
// from the request only what the operator has said: which report it keeps. For any other pod
// the proof is wrong. So the daemon need not remember nonces, and no clocks need to agree.
func KeyUseProof(key, nonce, pod string, q KeyUseQuestion) string {
	if key == "" {
		return ""
	}
	return hex.EncodeToString(derive([]byte(key), "key use question v1", nonce, pod,
		q.Instance, strconv.FormatUint(q.Sequence, 10), strconv.Itoa(q.Limit)))
}

// ProofsEqual compares two proofs in a time that depends only on their lengths. An empty proof
// equals none.
func ProofsEqual(given, want string) bool {
	return want != "" && hmac.Equal([]byte(given), []byte(want))
}

// saltSize is the length of the random start of a sealed answer, in bytes.
const saltSize = 32

// SealOverhead is how much longer an answer is for being sealed, in bytes.
const SealOverhead = saltSize + 16

// ErrSeal is returned for an answer that was not sealed with the key, for the nonce and by the
// pod that were given, or that was changed or cut since.
var ErrSeal = errors.New("the seal is broken")

// SealKeyUse encrypts and authenticates an answer from KeyUsePath, with AES-256-GCM. Its key is
// derived from a salt that is random in each answer, so it seals only this one, and the nonce
// of GCM may be constant.
func SealKeyUse(key, nonce, pod string, answer []byte) ([]byte, error) {
	out := make([]byte, saltSize, len(answer)+SealOverhead)
	_, _ = rand.Read(out) // never fails
	aead, err := keyUseCipher(key, nonce, pod, out)
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, make([]byte, aead.NonceSize()), answer, nil), nil //nolint:gosec // see above
}

// OpenKeyUse returns the answer that SealKeyUse has sealed. It overwrites sealed.
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

// derive is an HMAC over a label and fields. Each has its length before it, so that no two
// lists of fields give the same input.
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
