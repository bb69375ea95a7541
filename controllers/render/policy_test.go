package render

import (
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

func TestPolicyAt(t *testing.T) {
	end := metav1.NewTime(time.Date(2027, 6, 30, 22, 0, 0, 0, time.UTC))
	l := &v1alpha1.SFTPListener{Spec: v1alpha1.SFTPListenerSpec{CryptoPolicy: v1alpha1.CryptoLegacy2026, CryptoPolicyExpirationTime: &end}}
	before := PolicyAt(l, end.Add(-time.Second))
	if before.Name != v1alpha1.CryptoLegacy2026 || before.Expires != &end || before.Warning(l) != "" {
		t.Errorf("before its end: %+v", before)
	}
	after := PolicyAt(l, end.Time)
	if after.Name != v1alpha1.CryptoModern2026 || after.Expires != nil {
		t.Errorf("at its end: %+v", after)
	}
	const warning = "cryptoPolicy Legacy2026 ended at 2027-06-30T22:00:00Z, and Modern2026 is offered instead; set spec.cryptoPolicy to that, or a later spec.cryptoPolicyExpirationTime"
	if got := after.Warning(l); got != warning {
		t.Errorf("warning %q", got)
	}
	if p := PolicyAt(&v1alpha1.SFTPListener{}, end.Time); p.Name != v1alpha1.CryptoModern2026 || p.Ended != "" {
		t.Errorf("by default: %+v", p)
	}
}

// The API's names match those of the daemon's policies.
func TestPoliciesOfTheAPI(t *testing.T) {
	names := []v1alpha1.CryptoPolicy{v1alpha1.CryptoModern2026, v1alpha1.CryptoStrict2026, v1alpha1.CryptoFips2026, v1alpha1.CryptoLegacy2026}
	for _, name := range names {
		l := &v1alpha1.SFTPListener{Spec: v1alpha1.SFTPListenerSpec{CryptoPolicy: name}}
		if p := PolicyAt(l, time.Now()); p.Policy.Name != string(name) || len(p.Ciphers) == 0 {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if have := len(cryptopolicy.All()); have != len(names) {
		t.Errorf("%d policies, the API has %d", have, len(names))
	}
}

func TestHostKeyUnderAPolicy(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[v1alpha1.CryptoPolicy]string{
		v1alpha1.CryptoModern2026: "",
		v1alpha1.CryptoStrict2026: "RSA key of 2048 bits is too short for crypto policy Strict2026: at least 3072 are required; create a new key, preferably Ed25519",
	} {
		err := PolicyAt(&v1alpha1.SFTPListener{Spec: v1alpha1.SFTPListenerSpec{CryptoPolicy: name}}, time.Now()).CheckHostKey(k)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
