package access

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

func fingerprint(n int) string {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(publicKey(n)))
	if err != nil {
		panic(err)
	}
	return ssh.FingerprintSHA256(key)
}

// settings returns the pods' settings.
func (r *rig) settings() string {
	r.t.Helper()
	s := r.secrets.Secret("team", render.ConfigSecretName(r.l))
	if s == nil {
		return ""
	}
	return string(s.Data[config.ListenerFile])
}

// lists has the listener refer to a list of revoked keys and a list of CAs.
func (r *rig) lists() {
	r.t.Helper()
	r.change(func(l *v1alpha1.SFTPListener) {
		l.Spec.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: "revoked", Key: "list"}}
		l.Spec.Authentication.TrustedUserCAsSecretRefs = []v1alpha1.SecretFileReference{{Name: "cas", Key: "file"}}
	})
}

// until reconciles with each result of the background reader until a condition holds.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	for range 20 {
		if holds() {
			return
		}
		r.news()
	}
	r.t.Fatalf("%s: never", what)
}

// Pods do not start without a list of revoked keys that was never read. A revoked key stays revoked whatever happens to the
// list later, and errors in the list are reported.
func TestLists(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.put("a", 1, 1)
	r.put("b", 1, 2)
	r.stored("revoked", "list", publicKey(1))
	r.stored("cas", "file", publicKey(50))
	r.lists()
	r.good()
	if b := r.access().Blocked; b == nil || b.Reason != v1alpha1.ReasonPending || r.settings() != "" {
		t.Fatalf("blocked %+v", b)
	}
	// It is not considered empty because nothing was found the last time.
	r.change(func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(50)) })
	r.good()
	if b := r.access().Blocked; b == nil || b.Reason != v1alpha1.ReasonPending || r.settings() != "" {
		t.Fatalf("after another change: blocked %+v", b)
	}
	r.reading()
	r.until("the lists are read", func() bool {
		return r.logins() == "b" && strings.Contains(r.settings(), strings.TrimSpace(publicKey(50)))
	})
	if len(r.access().Problems) != 0 || len(r.access().Unreadable) != 0 {
		t.Errorf("told %+v", r.access())
	}
	r.stored("revoked", "list", publicKey(2))
	r.good()
	r.until("the list is read again", func() bool { return r.logins() == "a" })
	// While it cannot be read, the last content counts.
	r.secrets.Fail = func(_, name string) error {
		if name == "revoked" {
			return errors.New("down")
		}
		return nil
	}
	r.good()
	if u := r.access().Unreadable; r.logins() != "a" || !slices.Equal(u, []string{`Secret "revoked" cannot be read: the answer of the API server cannot be used`}) {
		t.Errorf("logins %q, told %q", r.logins(), u)
	}
	r.secrets.Fail = nil
	r.good()
	r.until("it can be read again", func() bool { return len(r.access().Unreadable) == 0 })
	// Another key in the spec takes effect at once.
	r.change(func(l *v1alpha1.SFTPListener) {
		l.Spec.RevokedKeys = []v1alpha1.RevokedKey{{Fingerprint: fingerprint(1)}}
	})
	if r.good(); r.logins() != "" {
		t.Errorf("logins %q", r.logins())
	}
}

// Until an operator has read the lists again, those delivered by its predecessor count.
func TestListsAfterARestart(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.put("a", 1, 1)
	r.put("b", 1, 2)
	r.stored("revoked", "list", publicKey(1))
	r.stored("cas", "file", publicKey(50))
	r.lists()
	r.reading()
	r.good()
	r.until("the lists are read", func() bool {
		return r.logins() == "b" && strings.Contains(r.settings(), strings.TrimSpace(publicKey(50)))
	})
	r.restart() // nothing is read now
	for range 2 {
		r.put("c", 1, 3)
		r.good()
		if r.logins() != "b c" || !strings.Contains(r.settings(), strings.TrimSpace(publicKey(50))) || r.access().Blocked != nil {
			t.Errorf("logins %q, settings %s", r.logins(), r.settings())
		}
		r.change(func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(50)) }) // the lists are resolved again
	}
	r.put("d", 1, 1)
	if r.good(); r.logins() != "b c" {
		t.Errorf("a revoked key is back: logins %q", r.logins())
	}
}

// A missing list is a problem, but not a reason to lock everyone out.
func TestMissingLists(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.put("a", 1, 1)
	r.lists()
	r.good()
	var got []string
	for _, p := range r.access().Problems {
		got = append(got, p.Reason)
	}
	if !slices.Equal(got, []string{v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretNotFound}) {
		t.Errorf("problems %v, blocked %v", got, r.access().Blocked)
	}
}

// What is reported about the keys of CAs depends on the crypto policy, which expires with time.
func TestPolicyOfLists(t *testing.T) {
	const nist = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU="
	r := newRig(t)
	r.hostKey()
	r.change(func(l *v1alpha1.SFTPListener) {
		l.Spec.Authentication.TrustedUserCAs = []string{nist}
		l.Spec.CryptoPolicy, l.Spec.CryptoPolicyExpirationTime = v1alpha1.CryptoStrict2026, new(metav1.NewTime(noon.Add(time.Hour)))
	})
	if wait := r.good(); wait != time.Hour || len(r.access().Problems) != 1 {
		t.Errorf("again in %s, %+v", wait, r.access().Problems)
	}
	r.now = noon.Add(time.Hour)
	if r.good(); len(r.access().Problems) != 0 {
		t.Errorf("%+v", r.access().Problems)
	}
}
