package events

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Headers of requests.
const (
	// NonceHeader contains a text of 16 to 64 characters that was never used before. The answer is sealed for it.
	NonceHeader = "Sftp-Operator-Nonce"
	// ProofHeader contains the result of Proof.
	ProofHeader = "Sftp-Operator-Proof"
)

// Limits for the length of a key in bytes. Two results of crypto/rand.Text, with 26 characters each, make a key.
const (
	minKey = 32
	maxKey = 256
)

// ParseKey returns the key that a file contains, without white space around it.
func ParseKey(file []byte) ([]byte, error) {
	key := bytes.TrimSpace(file)
	if len(key) < minKey || len(key) > maxKey {
		return nil, fmt.Errorf("a key for events must have %d to %d bytes", minKey, maxKey)
	}
	return key, nil
}

// ValidNonce reports whether a daemon accepts a nonce.
func ValidNonce(nonce string) bool { return len(nonce) >= 16 && len(nonce) <= 64 }

// Proof proves that a request was made by a holder of the key. target is the path with the query, as in the request line.
//
// A request that is overheard can be sent again. That reveals nothing, because only holders of the key can open the answer.
// It also changes nothing, because acknowledging events and moving dead letters have no effect the second time.
func Proof(key []byte, nonce, method, target string, body []byte) string {
	return hex.EncodeToString(derive(key, "events request v1", nonce, method, target, string(body)))
}

// Proven reports whether a request's proof is valid, in constant time.
func Proven(given string, key []byte, nonce, method, target string, body []byte) bool {
	return len(key) >= minKey && ValidNonce(nonce) && hmac.Equal([]byte(given), []byte(Proof(key, nonce, method, target, body)))
}

// saltSize is the length of the random start of a sealed answer, in bytes.
const saltSize = 32

// SealOverhead is how many bytes sealing adds to an answer.
const SealOverhead = saltSize + 16

// ErrSeal is returned for an answer that was sealed with another key or nonce, or was altered or truncated.
var ErrSeal = errors.New("the answer is not sealed with this key for this request")

// Seal encrypts and authenticates an answer with AES-256-GCM. Its key is derived from a salt that is random in each
// answer, so the nonce of GCM may be constant.
func Seal(key []byte, nonce string, answer []byte) ([]byte, error) {
	out := make([]byte, saltSize, len(answer)+SealOverhead)
	_, _ = rand.Read(out) // never fails
	aead, err := answerCipher(key, nonce, out)
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, make([]byte, aead.NonceSize()), answer, nil), nil //nolint:gosec // see above
}

// Open returns the answer in the result of Seal, which it overwrites.
func Open(key []byte, nonce string, sealed []byte) ([]byte, error) {
	if len(sealed) < SealOverhead {
		return nil, ErrSeal
	}
	aead, err := answerCipher(key, nonce, sealed[:saltSize])
	if err != nil {
		return nil, err
	}
	body := sealed[saltSize:]
	if body, err = aead.Open(body[:0], make([]byte, aead.NonceSize()), body, nil); err != nil {
		return nil, ErrSeal
	}
	return body, nil
}

func answerCipher(key []byte, nonce string, salt []byte) (cipher.AEAD, error) {
	if len(key) < minKey {
		return nil, ErrSeal
	}
	block, err := aes.NewCipher(derive(key, "events answer v1", nonce, string(salt)))
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
