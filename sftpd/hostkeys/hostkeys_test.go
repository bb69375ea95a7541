package hostkeys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

func modern(t *testing.T) cryptopolicy.Policy {
	t.Helper()
	p, err := cryptopolicy.Lookup(cryptopolicy.Modern2026)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func block(kind string, der []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// active loads files as active keys without certificates.
func active(files [][]byte, policy cryptopolicy.Policy) (*Set, error) {
	return Load(files, make([]config.HostKey, len(files)), policy)
}

func TestLoad(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed := configtest.Key(t)
	_, ed2 := configtest.Key(t)
	_, one, _ := ed25519.GenerateKey(rand.Reader)
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mixed := slices.Concat(one[:ed25519.SeedSize], ed25519.PrivateKey(other))
	sec1, err := x509.MarshalECPrivateKey(p256)
	sec1PEM := block("EC PRIVATE KEY", sec1, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(p521)
	pkcs8PEM := block("PRIVATE KEY", pkcs8, err)
	pkcs1PEM := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil)
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(p256, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}

	for name, tc := range map[string]struct {
		files [][]byte
		types string
		say   string
	}{
		"one of each":   {[][]byte{ed, pkcs1PEM, sec1PEM, pkcs8PEM}, "ssh-ed25519 ssh-rsa ecdsa-sha2-nistp256 ecdsa-sha2-nistp521", ""},
		"OpenSSH's RSA": {[][]byte{configtest.PEM(t, rsaKey)}, "ssh-rsa", ""},
		"two of a type": {[][]byte{ed, pkcs1PEM, ed2}, "", "host key 2 has the same type as host key 0, ssh-ed25519, and both are active"},
		"one twice":     {[][]byte{ed, pkcs1PEM, ed}, "", "host key 2: duplicate of an earlier key"},
		"short RSA":     {[][]byte{ed, configtest.PEM(t, weak)}, "", "host key 1: RSA key of 1024 bits is too short"},
		"passphrase":    {[][]byte{pem.EncodeToMemory(locked)}, "", "has a passphrase"},
		"public key":    {[][]byte{[]byte("ssh-ed25519 AAAA")}, "", "not a private key"},
		"damaged":       {[][]byte{configtest.PEM(t, mixed)}, "", "host key 0: the private key is damaged"},
		"nothing":       {[][]byte{nil}, "", "not a private key"},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := active(tc.files, modern(t))
			if tc.say != "" {
				if err == nil || !strings.Contains(err.Error(), tc.say) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var types []string
			for _, s := range set.Signers(time.Now()) {
				types = append(types, s.PublicKey().Type())
			}
			if got := strings.Join(types, " "); got != tc.types {
				t.Errorf("%s", got)
			}
		})
	}
}

// TestNoSHA1: an RSA host key does not sign with SHA-1 even if asked to.
func TestNoSHA1(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set, err := active([][]byte{configtest.PEM(t, key)}, modern(t))
	if err != nil {
		t.Fatal(err)
	}
	s := set.Signers(time.Now())[0]
	for algorithm, ok := range map[string]bool{ssh.KeyAlgoRSA: false, "": false, ssh.KeyAlgoRSASHA256: true, ssh.KeyAlgoRSASHA512: true} {
		if _, err := s.SignWithAlgorithm(rand.Reader, []byte("data"), algorithm); (err == nil) != ok {
			t.Errorf("%q: %v", algorithm, err)
		}
	}
}
