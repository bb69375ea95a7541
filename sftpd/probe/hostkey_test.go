package probe

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"
)

func newPublicKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPublicKeyTrustsThatKeyAlone(t *testing.T) {
	trusted, other := newPublicKey(t), newPublicKey(t)
	file := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(file, ssh.MarshalAuthorizedKey(trusted), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := PublicKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Callback("host:22", nil, trusted); err != nil {
		t.Errorf("the trusted key was refused: %v", err)
	}
	if err := h.Callback("host:22", nil, other); !errors.Is(err, ErrHostKey) {
		t.Errorf("another key: %v, want that it is not trusted", err)
	}
	// A server with keys of several types must be asked for the trusted type.
	if got := h.Algorithms("host:22"); !slices.Equal(got, []string{ssh.KeyAlgoED25519}) {
		t.Errorf("Algorithms: %v", got)
	}
}

func TestPublicKeyRefusesOtherFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(file, []byte("no key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, filepath.Join(t.TempDir(), "missing")} {
		if _, err := PublicKey(name); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
