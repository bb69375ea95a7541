package credentials_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

// knownWords are words of a fixed list that may be repeated, longest first.
var knownWords = func() []string {
	words := []string{
		"agent-forwarding", "cert-authority", "command", "environment", "expiry-time", "no-agent-forwarding", "no-port-forwarding",
		"no-touch-required", "no-user-rc", "no-x11-forwarding", "permitlisten", "permitopen", "port-forwarding", "principals", "restrict",
		"verify-required", "x11-forwarding", "PRIVATE KEY", "argon2id", "otpauth:",
	}
	words = append(words, ssh.SupportedAlgorithms().PublicKeyAuths...)
	words = append(words, ssh.InsecureAlgorithms().PublicKeyAuths...)
	words = append(words, ssh.SupportedAlgorithms().HostKeys...)
	words = append(words, ssh.InsecureAlgorithms().HostKeys...)
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	return words
}()

// quoted returns a run of at least 8 bytes that a text repeats from data, unless it is part of a known word.
func quoted(text string, data []byte) string {
	for _, w := range knownWords {
		text = strings.ReplaceAll(text, w, "\x00")
	}
	for i := 0; i+8 <= len(data); i++ {
		if strings.Contains(text, string(data[i:i+8])) {
			return string(data[i : i+8])
		}
	}
	return ""
}

// textsOf returns the texts about a Secret's content that any of its readers produces.
func textsOf(t testing.TB, host ssh.Signer, data []byte) (out []string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "1"}, Data: map[string][]byte{"e": data}}
	u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "u"}}
	auth := &u.Spec.Authentication
	auth.AuthorizedKeysSecretRefs = []v1alpha1.AuthorizedKeysSecretReference{{Name: "s", Key: "e"}}
	auth.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: "s", Key: "e"}
	auth.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "s", Key: "e"}
	for _, auth.PasswordSecretRef.Format = range []v1alpha1.PasswordFormat{v1alpha1.PasswordPlain, v1alpha1.PasswordHash} {
		c := credentials.Resolve(u, nil, func(ref credentials.Ref) credentials.Entry {
			e, err := credentials.Read(ref, secret, func([]byte, string) (*config.Password, error) { return &config.Password{Hash: "h"}, nil })
			if err != nil {
				t.Fatal(err)
			}
			return e
		})
		for _, p := range c.Problems {
			out = append(out, p.Message)
		}
		for _, k := range c.Inventory {
			out = append(out, k.Comment)
		}
	}
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "l"}}
	file := func(v1alpha1.SecretFileReference) render.SecretFile { return render.SecretFile{Data: data} }
	l.Spec.Authentication.TrustedUserCAsSecretRefs = []v1alpha1.SecretFileReference{{Name: "s", Key: "e"}}
	l.Spec.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: "s", Key: "e"}}
	policy, err := cryptopolicy.Lookup(cryptopolicy.Default)
	if err != nil {
		t.Fatal(err)
	}
	_, problems := render.ResolveTrust(l, policy, file, nil)
	for _, p := range problems {
		out = append(out, p.Message)
	}
	for _, usage := range []v1alpha1.KeyUsage{v1alpha1.KeyUsageHost, v1alpha1.KeyUsageClient} {
		for _, entry := range []string{key.PrivateEntry, key.PublicEntry} {
			if _, err := key.Parse(map[string][]byte{entry: data}, usage); err != nil {
				out = append(out, err.Error())
			}
		}
	}
	if _, err := key.HostCertificate(key.Material{Public: host.PublicKey(), Certificate: data}, policy); err != nil {
		out = append(out, err.Error())
	}
	return out
}

func hostSigner(t testing.TB) (ssh.Signer, ed25519.PrivateKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s, private
}

// contents are what Secrets that users or listeners refer to may contain, by mistake or on purpose.
func contents(t testing.TB, host ssh.Signer, private ed25519.PrivateKey) map[string]string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(private, "acme2026secretcomment")
	if err != nil {
		t.Fatal(err)
	}
	cert := &ssh.Certificate{Key: host.PublicKey(), CertType: ssh.HostCert, KeyId: "key id of someone", ValidBefore: ssh.CertTimeInfinity, ValidPrincipals: []string{"sftp.example.com"}}
	if err := cert.SignCert(rand.Reader, host); err != nil {
		t.Fatal(err)
	}
	cert.Signature.Format = "sk-proj-signature-of-a-secret"
	good := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey())))
	return map[string]string{
		"API key":              "sk-proj-Abc123TOPSECRETabcdefghijklmnopqrstuvwxyz",
		"API key and more":     "sk-proj-Abc123TOPSECRETabcdefghijklmnopqrstuvwxyz AAAA",
		"like a key type":      "ssh-ed25519-secret-of-mine AAAAB3Nza",
		"like another":         "ecdsa-sha2-nistp256secretofmine AAAAB3Nza",
		"a damaged key":        strings.Replace(good, "AAAAC3", "AAAC3", 1) + " secretcomment",
		"a key and a comment":  good + " pw=hunter2hunter2",
		"an option":            `sk-live-0123456789="secretvalue" ` + good,
		"a known option":       `command="secretcommand --token=abcdefgh" ` + good,
		"networks":             `from="secret.example.com,192.0.2.1" ` + good,
		"a private key":        string(pem.EncodeToMemory(block)),
		"a certificate":        string(ssh.MarshalAuthorizedKey(cert)),
		"a password":           "correct horse battery staple",
		"lines":                "correct horse\nbattery staple\n",
		"an argon2id hash":     "$argon2id$v=19$m=99999999,t=12345678,p=1$c2FsdHNhbHRzYWx0$a2V5a2V5a2V5a2V5a2V5a2V5",
		"a bcrypt hash":        "$2b$99$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
		"a SHA-512 hash":       "$6$rounds=999999999$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/",
		"a TOTP secret":        "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ1",
		"a TOTP URI":           "otpauth://totp/x?digits=12345678901&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
		"a parameter twice":    "otpauth://totp/x?sk-proj-Abc123TOP=1&sk-proj-Abc123TOP=2",
		"an invalid URI":       "otpauth://%zzsecretsecret",
		"a fingerprint":        "SHA256:secretsecretsecret",
		"a KRL":                "SSHKRL\n\x00\x00\x00\x00\x01secretsecretsecretsecretsecretsecretsecretsecret",
		"a KRL of the future":  "SSHKRL\n\x00secretsecretsecret",
		"JSON":                 `{"token":"ssh-rsa-abcdefghijkl","user":"admin"}`,
		"a kubeconfig's token": "token: eyJhbGciOiJSUzI1NiIsImtpZCI6InNlY3JldCJ9.e30.c2VjcmV0",
	}
}

// Conditions and logs contain nothing from a Secret, whatever its content looks like.
func TestNoContentIsQuoted(t *testing.T) {
	host, private := hostSigner(t)
	for name, data := range contents(t, host, private) {
		texts := textsOf(t, host, []byte(data))
		if len(texts) == 0 {
			t.Errorf("%s: there is no text to look at", name)
		}
		for _, text := range texts {
			if q := quoted(text, []byte(data)); q != "" {
				t.Errorf("%s: %q is repeated in: %s", name, q, text)
			}
		}
	}
}

// The test above must be able to detect a quotation.
func TestQuoted(t *testing.T) {
	for _, tc := range []struct{ text, data, want string }{
		{"it has sk-proj-secret", "sk-proj-secret", "sk-proj-"},
		{"it has sk-proj", "sk-proj-secret", ""},
		{`after "ssh-ed25519"`, "ssh-ed25519 AAAA", ""},
		{"after ssh-ed25519-secret1", "ssh-ed25519-secret1", "-secret1"},
		{fmt.Sprintf("%q", "12345678"), "12345678", "12345678"},
	} {
		if got := quoted(tc.text, []byte(tc.data)); got != tc.want {
			t.Errorf("%q of %q: %q, want %q", tc.text, tc.data, got, tc.want)
		}
	}
}

func FuzzNoContentIsQuoted(f *testing.F) {
	host, private := hostSigner(f)
	for _, data := range contents(f, host, private) {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		for _, text := range textsOf(t, host, data) {
			q := quoted(text, data)
			if q == "" {
				continue
			}
			// The input may contain a piece of our own text by chance. A real quotation still is one after a change to the input.
			other := next(q)
			for _, text := range textsOf(t, host, bytes.ReplaceAll(data, []byte(q), []byte(other))) {
				if strings.Contains(text, other) {
					t.Errorf("%q, and after a change %q, is repeated in: %s", q, other, text)
				}
			}
		}
	})
}

// next returns a text with each letter and digit replaced by the next one.
func next(s string) string {
	return strings.Map(func(r rune) rune {
		for _, class := range []string{"abcdefghijklmnopqrstuvwxyza", "ABCDEFGHIJKLMNOPQRSTUVWXYZA", "01234567890"} {
			if i := strings.IndexRune(class, r); i >= 0 {
				return rune(class[i+1])
			}
		}
		return r
	}, s)
}
