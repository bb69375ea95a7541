package cryptopolicy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

var create = flag.Bool("create", false, "write the golden files of policies that have none")

// everyHostKey returns one private key file of each type that a policy allows.
func everyHostKey(t *testing.T, p cryptopolicy.Policy) [][]byte {
	t.Helper()
	var files [][]byte
	for _, algorithm := range p.HostKeys {
		var key any
		var err error
		switch algorithm {
		case ssh.KeyAlgoED25519:
			_, file := configtest.Key(t)
			files = append(files, file)
			continue
		case ssh.KeyAlgoECDSA256:
			key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		case ssh.KeyAlgoECDSA384:
			key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		case ssh.KeyAlgoECDSA521:
			key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
		case ssh.KeyAlgoRSASHA512:
			key, err = rsa.GenerateKey(rand.Reader, 3072)
		default:
			continue // another algorithm of the RSA key
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, configtest.PEM(t, key))
	}
	return files
}

// endpoint returns a configuration with a policy and with the restrictions that the policy requires.
func endpoint(t *testing.T, p cryptopolicy.Policy) *configtest.Dir {
	t.Helper()
	dir := configtest.New(t)
	dir.Listener.CryptoPolicy = p.Name
	if p.Exception {
		end := time.Now().Add(time.Hour)
		dir.Listener.AllowFrom, dir.Listener.CryptoPolicyNotAfter = []string{"127.0.0.0/8"}, &end
	}
	dir.HostKeys = everyHostKey(t, p)
	return dir
}

// TestGolden: a daemon sends exactly what it sent when the policy was released. A policy never changes after its release: add
// another policy instead of changing a golden file.
//
// The line server-sig-algs comes from the policy; test/interop compares it with what OpenSSH receives.
func TestGolden(t *testing.T) {
	for _, p := range cryptopolicy.All() {
		t.Run(p.Name, func(t *testing.T) {
			d := daemontest.Start(t, endpoint(t, p))
			_, lists := daemontest.KexInit(t, d.Addr)
			var have strings.Builder
			for i, name := range []string{
				"kex_algorithms", "server_host_key_algorithms", "encryption_algorithms_client_to_server",
				"encryption_algorithms_server_to_client", "mac_algorithms_client_to_server",
				"mac_algorithms_server_to_client", "compression_algorithms_client_to_server",
				"compression_algorithms_server_to_client", "languages_client_to_server", "languages_server_to_client",
			} {
				fmt.Fprintf(&have, "%s: %s\n", name, strings.Join(lists[i], ","))
			}
			fmt.Fprintf(&have, "server-sig-algs: %s\n", strings.Join(p.PublicKeys, ","))
			fmt.Fprintf(&have, "preferred: %s\n", strings.Join(p.Preferred, ","))
			fmt.Fprintf(&have, "exception: %v\nmin_rsa_bits: %d\nrekey_bytes: %d\nrekey_time: %v\n", p.Exception, p.MinRSABits, p.RekeyBytes, p.RekeyTime)

			file := filepath.Join("testdata", p.Name+".golden")
			if _, err := os.Stat(file); *create && os.IsNotExist(err) {
				if err := os.WriteFile(file, []byte(have.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if have.String() != string(want) {
				t.Errorf("%s has changed:\nhave\n%s\nwant\n%s", p.Name, have.String(), want)
			}
		})
	}
}

// TestGoldenFilesHavePolicies: a policy is never removed, because a configuration may still name it.
func TestGoldenFilesHavePolicies(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) != len(cryptopolicy.All()) {
		t.Errorf("%d files, %d policies: %v", len(files), len(cryptopolicy.All()), err)
	}
	for _, f := range files {
		if _, err := cryptopolicy.Lookup(strings.TrimSuffix(filepath.Base(f), ".golden")); err != nil {
			t.Error(err)
		}
	}
}

// TestStrictKeyExchange: every policy announces it (the Terrapin attack, CVE-2023-48795).
func TestStrictKeyExchange(t *testing.T) {
	for _, p := range cryptopolicy.All() {
		golden, err := os.ReadFile(filepath.Join("testdata", p.Name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(golden), "\n")
		if !slices.Contains(strings.Split(line, ","), "kex-strict-s-v00@openssh.com") {
			t.Errorf("%s: %s", p.Name, line)
		}
	}
}
