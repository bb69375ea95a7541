package config

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

var hostKeyOfProofs = []byte("-----BEGIN OPENSSH PRIVATE KEY-----\n")

// The proof key is derived from the first host key only, and reveals nothing about it.
func TestStatusKey(t *testing.T) {
	key := StatusKey([][]byte{hostKeyOfProofs})
	if StatusKey(nil) != "" || len(key) != 64 || key != StatusKey([][]byte{hostKeyOfProofs, []byte("b")}) || key == StatusKey([][]byte{[]byte("b"), hostKeyOfProofs}) {
		t.Errorf("key %q", key)
	}
}

// Any difference in the fields changes the proof, even where fields of different lengths concatenate to the same bytes.
func TestProofsDiffer(t *testing.T) {
	q := KeyUseQuestion{Instance: "i", Sequence: 12, Limit: 3}
	proofs := []string{
		StatusProof("key", "nonce", "pod", []byte("body")),
		StatusProof("key2", "nonce", "pod", []byte("body")),
		StatusProof("key", "nonce2", "pod", []byte("body")),
		StatusProof("key", "nonce", "pod2", []byte("body")),
		StatusProof("key", "nonce", "pod", []byte("body2")),
		StatusProof("key", "nonce", "po", []byte("dbody")),
		StatusProof("key", "noncep", "od", []byte("body")),
		KeyUseProof("key", "nonce", "pod", q),
		KeyUseProof("key2", "nonce", "pod", q),
		KeyUseProof("key", "nonce2", "pod", q),
		KeyUseProof("key", "nonce", "pod2", q),
		KeyUseProof("key", "nonce", "pod", KeyUseQuestion{Instance: "i2", Sequence: 12, Limit: 3}),
		KeyUseProof("key", "nonce", "pod", KeyUseQuestion{Instance: "i", Sequence: 1, Limit: 23}),
		KeyUseProof("key", "nonce", "pod", KeyUseQuestion{Instance: "i1", Sequence: 2, Limit: 3}),
		KeyUseProof("key", "nonce", "pod", KeyUseQuestion{Instance: "i", Sequence: 12, Limit: 4}),
	}
	for _, p := range proofs {
		if len(p) != 64 || !ProofsEqual(p, p) || ProofsEqual(p[:63], p) || ProofsEqual("", p) {
			t.Errorf("proof %q", p)
		}
	}
	slices.Sort(proofs)
	if n := len(slices.Compact(proofs)); n != 15 {
		t.Errorf("%d different proofs, want 15", n)
	}
}

// Without a key nothing is proven, to no one.
func TestNoKeyProvesNothing(t *testing.T) {
	if p := StatusProof("", "nonce", "pod", nil); p != "" || ProofsEqual(p, p) {
		t.Errorf("proof %q of a status", p)
	}
	if p := KeyUseProof("", "nonce", "pod", KeyUseQuestion{}); p != "" {
		t.Errorf("proof %q of a question", p)
	}
	if _, err := SealKeyUse("", "nonce", "pod", nil); err == nil {
		t.Error("sealed without a key")
	}
	if _, err := OpenKeyUse("", "nonce", "pod", make([]byte, 100)); err == nil {
		t.Error("opened without a key")
	}
}

func TestSeal(t *testing.T) {
	answer := []byte(`{"uses":[{"uid":"ada"}]}`)
	sealed, err := SealKeyUse("key", "nonce", "pod", answer)
	if err != nil || len(sealed) != len(answer)+SealOverhead || bytes.Contains(sealed, []byte("ada")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	again, err := SealKeyUse("key", "nonce", "pod", answer)
	if err != nil || bytes.Equal(again[saltSize:], sealed[saltSize:]) {
		t.Error("the same answer looks the same: anyone who repeats a question can compare")
	}
	open := func(key, nonce, pod string, sealed []byte) ([]byte, error) {
		return OpenKeyUse(key, nonce, pod, bytes.Clone(sealed))
	}
	if got, err := open("key", "nonce", "pod", sealed); err != nil || !bytes.Equal(got, answer) {
		t.Errorf("%q, %v", got, err)
	}
	for name, try := range map[string][3]string{"another key": {"k", "nonce", "pod"}, "another nonce": {"key", "n", "pod"}, "another pod": {"key", "nonce", "p"}} {
		if got, err := open(try[0], try[1], try[2], sealed); !errors.Is(err, ErrSeal) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := open("key", "nonce", "pod", changed); !errors.Is(err, ErrSeal) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if _, err := open("key", "nonce", "pod", sealed[:i]); !errors.Is(err, ErrSeal) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
}

func TestValidNonce(t *testing.T) {
	for n, want := range map[int]bool{0: false, 15: false, 16: true, 26: true, 64: true, 65: false} {
		if got := ValidNonce(strings.Repeat("n", n)); got != want {
			t.Errorf("%d characters: %v", n, got)
		}
	}
}
