package server_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// hostKeysWith returns active host keys with certificates; "" means none.
func hostKeysWith(certificates ...string) []config.HostKey {
	out := make([]config.HostKey, len(certificates))
	for i, c := range certificates {
		out[i].Certificate = c
	}
	return out
}

// TestHostCertificate: a client that trusts the CA accepts the certificate while it is valid. After it expires, only the plain
// key is offered, without a reload; certificate algorithms are those that the policy allows for the key.
func TestHostCertificate(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	ca, _ := configtest.Key(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	dir := configtest.New(t)
	ed, file := configtest.Key(t)
	dir.HostKeys = [][]byte{file, configtest.PEM(t, private)}
	dir.AddUser("ada", "", key.PublicKey())
	short := configtest.Certificate(t, ca, ssh.HostCert, ed.PublicKey(), "files.example.com")
	long := configtest.Certificate(t, ca, ssh.HostCert, configtest.Signer(t, private).PublicKey(), "files.example.com")
	dir.Listener.HostKeys = hostKeysWith(configtest.Line(short), configtest.Line(long))
	d := daemontest.Start(t, dir)

	offered := func(want ...string) {
		t.Helper()
		if _, lists := daemontest.KexInit(t, d.Addr); !slices.Equal(lists[1], want) {
			t.Errorf("offered %v, want %v", lists[1], want)
		}
	}
	offered(ssh.KeyAlgoED25519, ssh.CertAlgoED25519v01, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512, ssh.CertAlgoRSASHA256v01, ssh.CertAlgoRSASHA512v01)

	trusting := ssh.CertChecker{IsHostAuthority: func(by ssh.PublicKey, _ string) bool {
		return string(by.Marshal()) == string(ca.PublicKey().Marshal())
	}}
	logIn := func(host string, algorithms ...string) error {
		c, err := ssh.Dial("tcp", d.Addr, &ssh.ClientConfig{
			User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, Timeout: 10 * time.Second, HostKeyAlgorithms: algorithms,
			HostKeyCallback: func(_ string, remote net.Addr, key ssh.PublicKey) error {
				if _, ok := key.(*ssh.Certificate); !ok {
					return errors.New("a plain key")
				}
				return trusting.CheckHostKey(host+":22", remote, key)
			},
		})
		if err == nil {
			daemontest.StillWorks(t, c)
			_ = c.Close()
		}
		return err
	}
	for _, algorithm := range []string{ssh.CertAlgoED25519v01, ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01} {
		if err := logIn("files.example.com", algorithm); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		if line := `sftpd_negotiated_algorithms_total{algorithm="` + algorithm + `",kind="host_key"} 1`; !d.HasMetric(t, line) {
			t.Errorf("no metric %s", line)
		}
	}
	if err := logIn("other.example.com"); err == nil || !strings.Contains(err.Error(), "principal") {
		t.Errorf("under another name: %v", err)
	}
	if err := logIn("files.example.com", ssh.CertAlgoRSAv01); err == nil || !strings.Contains(err.Error(), "no common algorithm") {
		t.Errorf("with SHA-1: %v", err)
	}

	end := time.Now().Add(3 * time.Second).Truncate(time.Second)
	short.ValidBefore = uint64(end.Unix())
	configtest.Certify(t, ca, short)
	dir.Listener.HostKeys[0].Certificate = configtest.Line(short)
	d.Reload(t, dir)
	time.Sleep(time.Until(end.Add(time.Second)))
	offered(ssh.KeyAlgoED25519, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512, ssh.CertAlgoRSASHA256v01, ssh.CertAlgoRSASHA512v01)
	if err := logIn("files.example.com", ssh.CertAlgoED25519v01, ssh.KeyAlgoED25519); err == nil || !strings.Contains(err.Error(), "a plain key") {
		t.Errorf("after its end: %v", err)
	}
}

// TestHostCertificateWithSHA1: the algorithms that Legacy2026 allows for plain keys are allowed for certificates too.
func TestHostCertificateWithSHA1(t *testing.T) {
	t.Parallel()
	ca, _ := configtest.Key(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Hour)
	dir := configtest.New(t)
	dir.HostKeys = [][]byte{configtest.PEM(t, private)}
	dir.Listener.CryptoPolicy, dir.Listener.CryptoPolicyNotAfter = cryptopolicy.Legacy2026, &end
	dir.Listener.AllowFrom = []string{"127.0.0.0/8"}
	dir.Listener.HostKeys = hostKeysWith(configtest.Line(configtest.Certificate(t, ca, ssh.HostCert, configtest.Signer(t, private).PublicKey(), "h")))
	d := daemontest.Start(t, dir)
	want := []string{
		ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSA,
		ssh.CertAlgoRSASHA256v01, ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSAv01,
	}
	if _, lists := daemontest.KexInit(t, d.Addr); !slices.Equal(lists[1], want) {
		t.Errorf("offered %v, want %v", lists[1], want)
	}
}
