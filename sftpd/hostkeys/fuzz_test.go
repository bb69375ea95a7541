package hostkeys_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/hostkeys"
)

// FuzzLoad: an accepted file is a key whose signatures its public key verifies, and a certificate accepted with it is a host
// certificate of that key. An error quotes nothing from the file, which is secret.
func FuzzLoad(f *testing.F) {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	add := func(b *pem.Block, err error) {
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pem.EncodeToMemory(b), "")
	}
	ca, _ := configtest.Key(f)
	for _, key := range []any{ed, ec, r} {
		add(ssh.MarshalPrivateKey(key, ""))
		for _, kind := range []uint32{ssh.HostCert, ssh.UserCert} {
			f.Add(configtest.PEM(f, key), configtest.Line(configtest.Certificate(f, ca, kind, configtest.Signer(f, key).PublicKey(), "host")))
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		add(&pem.Block{Type: "PRIVATE KEY", Bytes: der}, err)
	}
	add(ssh.MarshalPrivateKeyWithPassphrase(ed, "", []byte("passphrase")))
	add(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(r)}, nil)
	der, err := x509.MarshalECPrivateKey(ec)
	add(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}, err)
	f.Add([]byte("-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n"), "ssh-ed25519-cert-v01@openssh.com AAAA")
	policy, err := cryptopolicy.Lookup(cryptopolicy.Modern2026)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, certificate string) {
		set, err := hostkeys.Load([][]byte{data}, []config.HostKey{{Certificate: certificate}}, policy)
		if err != nil {
			for l := range bytes.SplitSeq(data, []byte("\n")) {
				if len(l) > 20 && strings.Contains(err.Error(), string(l)) {
					t.Errorf("the error repeats the key: %v", err)
				}
			}
			return
		}
		signers := set.Signers(time.Now())
		for _, s := range signers {
			if c, ok := s.PublicKey().(*ssh.Certificate); ok {
				if c.CertType != ssh.HostCert || !bytes.Equal(c.Key.Marshal(), signers[0].PublicKey().Marshal()) {
					t.Errorf("took %s", certificate)
				}
			}
			sig, err := s.Sign(rand.Reader, []byte("data"))
			if err != nil {
				t.Errorf("%s: %v", s.PublicKey().Type(), err)
				continue
			}
			if err := s.PublicKey().Verify([]byte("data"), sig); err != nil {
				t.Errorf("%s: %v", s.PublicKey().Type(), err)
			}
		}
	})
}
