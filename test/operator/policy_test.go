package operator

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Legacy2026 ends automatically: the status shows that at that time, without any event that wakes the operator.
func TestLegacyPolicyEnds(t *testing.T) {
	ns := namespace(t, nil)
	end := metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second))
	l := newListener(ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.CryptoPolicy = v1alpha1.CryptoLegacy2026
		l.Spec.CryptoPolicyExpirationTime = &end
		l.Spec.AllowedCIDRs = []string{"192.0.2.0/24"}
	})
	create(t, l)
	waitFor(t, l, "ResolvedRefs", "True", "ResolvedRefs", "")
	waitFor(t, l, "Accepted", "True", "Accepted", "The operator acts on the spec")
	if l.Status.CryptoPolicy != v1alpha1.CryptoLegacy2026 || !l.Status.CryptoPolicyExpirationTime.Equal(&end) {
		t.Errorf("status: policy %s until %v", l.Status.CryptoPolicy, l.Status.CryptoPolicyExpirationTime)
	}
	secret := &corev1.Secret{}
	get(t, secret, ns, "partners-sftp-config")
	var settings config.Listener
	if err := json.Unmarshal(secret.Data[config.ListenerFile], &settings); err != nil {
		t.Fatal(err)
	}
	if settings.CryptoPolicy != "Legacy2026" || settings.CryptoPolicyNotAfter == nil || !settings.CryptoPolicyNotAfter.Equal(end.Time) || len(settings.AllowFrom) != 1 {
		t.Errorf("settings of the pods: %+v", settings)
	}
	soon := metav1.NewTime(time.Now().Add(3 * time.Second).Truncate(time.Second))
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.CryptoPolicyExpirationTime = soon.DeepCopy() })
	waitFor(t, l, "Accepted", "True", "CryptoPolicyExpired", "cryptoPolicy Legacy2026 ended at "+soon.UTC().Format(time.RFC3339)+
		", and Modern2026 is offered instead; set spec.cryptoPolicy to that, or a later spec.cryptoPolicyExpirationTime")
	if l.Status.CryptoPolicy != v1alpha1.CryptoModern2026 || l.Status.CryptoPolicyExpirationTime != nil {
		t.Errorf("status after the end: policy %s until %v", l.Status.CryptoPolicy, l.Status.CryptoPolicyExpirationTime)
	}
}

// TestLegacyListener: one without hostKeyRefs has an RSA key from the start; one that gets the policy later
// announces the key as soon as the pods have it. The key stays when the policy ends, for clients that know
// only this key.
func TestLegacyListener(t *testing.T) {
	legacy := func(l *v1alpha1.SFTPListener) {
		l.Spec.CryptoPolicy = v1alpha1.CryptoLegacy2026
		l.Spec.CryptoPolicyExpirationTime = new(metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second)))
		l.Spec.AllowedCIDRs = []string{"192.0.2.0/24"}
	}
	has := func(l *v1alpha1.SFTPListener, want string) {
		t.Helper()
		eventually(t, func() error {
			get(t, l, l.Namespace, l.Name)
			var got []string
			for _, k := range l.Status.HostKeys {
				got = append(got, k.Name+" "+k.Algorithm+" "+string(k.State))
			}
			if strings.Join(got, ", ") != want {
				return fmt.Errorf("host keys: %v, want %s", got, want)
			}
			return nil
		})
	}
	fresh := readyListener(t, namespace(t, nil), legacy)
	has(fresh, "partners-ed25519 ssh-ed25519 Active, partners-rsa ssh-rsa Active")

	l := readyListener(t, namespace(t, nil))
	has(l, "partners-ed25519 ssh-ed25519 Active")
	change(t, l, legacy)
	has(l, "partners-ed25519 ssh-ed25519 Active, partners-rsa ssh-rsa Advertised")
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.CryptoPolicy, l.Spec.CryptoPolicyExpirationTime = v1alpha1.CryptoModern2026, nil
	})
	waitFor(t, l, "Ready", "True", "Ready", "")
	has(l, "partners-ed25519 ssh-ed25519 Active, partners-rsa ssh-rsa Advertised")
	// An owner can opt out.
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.HostKeyRefs = []v1alpha1.LocalKeyReference{{Name: "partners-ed25519"}}
	})
	has(l, "partners-ed25519 ssh-ed25519 Active")
}
