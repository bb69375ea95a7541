package key

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func TestGenerateAndParse(t *testing.T) {
	for algorithm, want := range map[v1alpha1.KeyAlgorithm]string{
		"":                    ssh.KeyAlgoED25519,
		v1alpha1.KeyEd25519:   ssh.KeyAlgoED25519,
		v1alpha1.KeyECDSAP256: ssh.KeyAlgoECDSA256,
		v1alpha1.KeyRSA3072:   ssh.KeyAlgoRSA,
		v1alpha1.KeyRSA4096:   ssh.KeyAlgoRSA,
	} {
		t.Run(string(algorithm), func(t *testing.T) {
			m, err := Generate(algorithm, "platform/host")
			if err != nil {
				t.Fatal(err)
			}
			if m.Public.Type() != want {
				t.Errorf("type %s, want %s", m.Public.Type(), want)
			}
			got, err := Parse(map[string][]byte{PrivateEntry: m.Private}, v1alpha1.KeyUsageHost)
			if err != nil {
				t.Fatal(err)
			}
			if got.Line() != m.Line() || got.Fingerprint() != m.Fingerprint() || string(got.Private) != string(m.Private) {
				t.Error("what was generated is not what is read")
			}
			if rsaKey, ok := m.Public.(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey); ok {
				if bits := rsaKey.N.BitLen(); algorithm != "RSA3072" && bits != 4096 || algorithm == "RSA3072" && bits != 3072 {
					t.Errorf("%d bits", bits)
				}
			}
		})
	}
	if _, err := Generate("DSA", ""); err == nil {
		t.Error("an algorithm that is not known must be an error")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	shortPEM := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(short)})
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mixed, err := ssh.MarshalPrivateKey(slices.Concat(private[:ed25519.SeedSize], ed25519.PrivateKey(other)), "")
	if err != nil {
		t.Fatal(err)
	}
	const (
		host   = v1alpha1.KeyUsageHost
		client = v1alpha1.KeyUsageClient
	)
	tests := []struct {
		name  string
		usage v1alpha1.KeyUsage
		data  map[string][]byte
		want  string
	}{
		{"a host key of nothing", host, nil, `it has no entry "ssh-privatekey"; put the private key there`},
		{"a host key that is empty", host, map[string][]byte{PrivateEntry: {}}, `it has no entry "ssh-privatekey"; put the private key there`},
		{"a client key of nothing", client, nil, `it has neither an entry "ssh-privatekey" nor "ssh-publickey"; put a key there`},
		{"halves of two pairs", host, map[string][]byte{PrivateEntry: pem.EncodeToMemory(mixed)}, `the private key in "ssh-privatekey" is damaged: its private and public halves do not match; restore it from a backup`},
		{
			"a key that would take hours to parse", host,
			map[string][]byte{PrivateEntry: make([]byte, 1<<20)},
			`the entry "ssh-privatekey" has 1048576 bytes, and a private key has at most 16384`,
		},
		{"no key", host, map[string][]byte{PrivateEntry: []byte("hunter2")}, `the entry "ssh-privatekey" is not a private key in OpenSSH or PEM format`},
		{
			"a key with a passphrase", host,
			map[string][]byte{PrivateEntry: pem.EncodeToMemory(locked)},
			`the private key in "ssh-privatekey" is protected by a passphrase; remove it with ssh-keygen -p`,
		},
		{
			"RSA of 1024 bits", host,
			map[string][]byte{PrivateEntry: shortPEM},
			`the entry "ssh-privatekey" cannot be used: RSA key of 1024 bits is too short: at least 2048 are required; create a new key, preferably with ssh-keygen -t ed25519`,
		},
		{
			"a public half with a typo", client,
			map[string][]byte{PublicEntry: []byte("ssh-ed25519 AAAA")},
			`the entry "ssh-publickey": the key after "ssh-ed25519" is damaged or incomplete; copy the whole line of the .pub file again`,
		},
		{
			"a private key as the public half", client,
			map[string][]byte{PublicEntry: pem.EncodeToMemory(locked)},
			`the entry "ssh-publickey": this is a private key: use the public half, the line in the .pub file, and generate a new key pair if others have seen this one`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.data, tt.usage)
			if err == nil || err.Error() != tt.want {
				t.Fatalf("error\n\t%v\nwant\n\t%s", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error reveals the content of the Secret")
			}
		})
	}
}

func TestPublicHalfIsEnoughForAClientKey(t *testing.T) {
	want := pair(t)
	got, err := Parse(map[string][]byte{PublicEntry: []byte(want.Line() + " ops@acme\n")}, v1alpha1.KeyUsageClient)
	if err != nil {
		t.Fatal(err)
	}
	if got.Line() != want.Line() || got.Private != nil {
		t.Errorf("%s with a private half %q", got.Line(), got.Private)
	}
}
