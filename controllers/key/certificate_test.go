package key

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
)

func authority(t *testing.T) ssh.Signer {
	t.Helper()
	ca, err := ssh.ParsePrivateKey(pair(t).Private)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// certified returns a key with a host certificate valid for ten days from the start.
func certified(t *testing.T, m Material, ca ssh.Signer, edits ...func(*ssh.Certificate)) Material {
	t.Helper()
	c := &ssh.Certificate{
		Key: m.Public, CertType: ssh.HostCert, KeyId: "partners\x1b[2J", ValidPrincipals: []string{"sftp.example.com"},
		ValidAfter: uint64(began.Unix()), ValidBefore: uint64(began.Add(240 * time.Hour).Unix()),
	}
	for _, edit := range edits {
		edit(c)
	}
	if err := c.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	m.Certificate = ssh.MarshalAuthorizedKey(c)
	return m
}

func TestJudgeCertificate(t *testing.T) {
	ca, m := authority(t), pair(t)
	ofADay := func(c *ssh.Certificate) { c.ValidBefore = uint64(began.Add(24 * time.Hour).Unix()) }
	forever := func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }
	const hour = time.Hour
	for _, tt := range []struct {
		name     string
		material Material
		after    time.Duration
		reason   string
		message  string
		next     time.Duration // after the beginning, 0 for never
		shown    bool
	}{
		{"none", m, 0, "Ready", "m", 0, false},
		{"long to go", certified(t, m, ca), 0, "Ready", "m", 200 * hour, true},
		{
			"its last week", certified(t, m, ca, func(c *ssh.Certificate) { c.ValidBefore += 90 * 86400 }), 100*24*hour - 7*24*hour, "HostCertificateExpiring",
			`The host certificate expires at 2027-03-05T12:00:00Z; put a new one into "ssh-certificate" of the Secret before then; pods load it at once`, 100 * 24 * hour, true,
		},
		{"a short one", certified(t, m, ca, ofADay), 20*hour - time.Second, "Ready", "m", 20 * hour, true},
		{"the last sixth of a short one", certified(t, m, ca, ofADay), 20 * hour, "HostCertificateExpiring", "", 24 * hour, true},
		{
			"over", certified(t, m, ca, ofADay), 24 * hour, "HostCertificateExpired",
			`The host certificate expired at 2026-11-26T12:00:00Z, and pods present the key without it; put a new one into "ssh-certificate" of the Secret`, 0, true,
		},
		{"without an end", certified(t, m, ca, forever), 1e6 * hour, "Ready", "m", 0, true},
		{"of another key", Material{Private: m.Private, Public: m.Public, Certificate: certified(t, pair(t), ca).Certificate}, 0, "InvalidHostCertificate", "", 0, false},
		{"for users", certified(t, m, ca, func(c *ssh.Certificate) { c.CertType = ssh.UserCert }), 0, "InvalidHostCertificate", "", 0, false},
		{"no certificate at all", Material{Private: m.Private, Public: m.Public, Certificate: []byte("hello")}, 0, "InvalidHostCertificate", "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ready := conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "m")
			c, status, next := certificateCondition(tt.material, ready, began.Add(tt.after))
			if c.Status != metav1.ConditionTrue || c.Reason != tt.reason || tt.message != "" && c.Message != tt.message {
				t.Errorf("%s %s: %s", c.Status, c.Reason, c.Message)
			}
			if tt.reason == v1alpha1.ReasonInvalidHostCertificate && !strings.HasPrefix(c.Message, `The key works without its host certificate: the entry "ssh-certificate": `) {
				t.Error(c.Message)
			}
			want := time.Time{}
			if tt.next > 0 {
				want = began.Add(tt.next)
			}
			if !next.Equal(want) {
				t.Errorf("looks again at %s, want %s", next, want)
			}
			switch {
			case (status != nil) != tt.shown:
				t.Errorf("status %+v", status)
			case status != nil && (status.KeyID != "partners[2J" || status.CAFingerprint != ssh.FingerprintSHA256(ca.PublicKey()) || status.Principals[0] != "sftp.example.com"):
				t.Errorf("status %+v", status)
			}
		})
	}
}
