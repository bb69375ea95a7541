package client

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

func random(n int) []byte {
	content := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	return content
}

// TestAgainstDaemon runs all measurements against the daemon.
func TestAgainstDaemon(t *testing.T) {
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "secret", key.PublicKey())
	d := daemontest.Start(t, dir)
	o := Options{
		Addr: d.Addr, User: "ada", Auth: ssh.PublicKeys(key), HostKey: &HostKey{},
		Ciphers: []string{ssh.CipherAES128GCM}, Exchanges: []string{ssh.KeyExchangeCurve25519},
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	home := dir.Home("ada")
	content := random(3<<20 + 12345)
	for name, p := range map[string]Pipeline{
		"one by one": {Request: 32 << 10, Depth: 1}, "small": {Request: 32 << 10, Depth: 64}, "large": {Request: 255 << 10, Depth: 16},
	} {
		if err := s.Upload("/up", content, p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := os.ReadFile(filepath.Join(home, "up")); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: uploaded %d bytes, %v", name, len(got), err)
		}
		got := make([]byte, len(content))
		if err := s.Download("/up", got, p); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: different content, %v", name, err)
		}
	}
	if err := s.Put("/small", content[:4096]); err != nil {
		t.Fatal(err)
	}
	got, size, err := s.Get("/small", 8192)
	if err != nil || size != 4096 || !bytes.Equal(got, content[:4096]) {
		t.Errorf("%d bytes, stated %d, %v", len(got), size, err)
	}
	names, replies, err := s.List("/")
	slices.Sort(names)
	if err != nil || replies != 1 || !slices.Equal(names, []string{"small", "up"}) {
		t.Errorf("%q in %d replies, %v", names, replies, err)
	}
	var status StatusError
	if err := s.Download("/none", nil, Pipeline{1, 1}); !errors.As(err, &status) || status.Code != 2 {
		t.Errorf("a file that does not exist: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}

	o.Ciphers = []string{ssh.InsecureCipherTripleDESCBC}
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a cipher that the daemon does not have: %v", err)
	}
}

func TestHostKeyOnce(t *testing.T) {
	first, _ := configtest.Key(t)
	second, _ := configtest.Key(t)
	var h HostKey
	for range 2 {
		if err := h.check("h", nil, first.PublicKey()); err != nil {
			t.Fatal(err)
		}
	}
	if h.check("h", nil, second.PublicKey()) == nil {
		t.Error("a different key was accepted")
	}
}
