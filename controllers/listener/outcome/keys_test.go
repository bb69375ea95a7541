package outcome

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

func on(month time.Month, day, hour int) time.Time {
	return time.Date(2026, month, day, hour, 0, 0, 0, time.UTC)
}

// The worst problem comes first, and a mere oddity leaves the condition true.
func TestKeysValid(t *testing.T) {
	at := new(metav1.NewTime(on(12, 1, 0)))
	key := func(fp string, state v1alpha1.KeyState) v1alpha1.UserKeyStatus {
		return v1alpha1.UserKeyStatus{Fingerprint: fp, Source: "inline", State: state, NotBefore: at, ExpirationTime: at}
	}
	shared := func(fingerprint string) bool { return fingerprint == "s" }
	keys := []v1alpha1.UserKeyStatus{
		key("a", v1alpha1.KeyActive), key("s", v1alpha1.KeyActive), key("u", v1alpha1.KeyUnused),
		key("n", v1alpha1.KeyNotYetValid), key("i", v1alpha1.KeyExpiring), key("e", v1alpha1.KeyExpired), key("w", v1alpha1.KeyWeak),
	}
	const time = " 2026-12-01T00:00:00Z"
	for _, tc := range []struct {
		keys            []v1alpha1.UserKeyStatus
		status          metav1.ConditionStatus
		reason, message string
	}{
		{nil, metav1.ConditionTrue, "KeysValid", "No key has expired or is about to"},
		{keys[:1], metav1.ConditionTrue, "KeysValid", "No key has expired or is about to"},
		{keys[:2], metav1.ConditionTrue, "KeyShared", "s (inline) also belongs to other SFTPUsers of the namespace"},
		{keys[:3], metav1.ConditionTrue, "KeyUnused", "u (inline) has not been used for a long time"},
		{keys[:4], metav1.ConditionFalse, "KeyNotYetValid", "n (inline) is valid from" + time},
		{keys[:5], metav1.ConditionFalse, "KeyExpiring", "i (inline) ends at" + time},
		{append(keys, keys[5]), metav1.ConditionFalse, "KeyExpired", "e (inline) expired at" + time + "; e (inline) expired at" + time},
	} {
		if c := keysValid(tc.keys, shared); c.Status != tc.status || c.Reason != tc.reason || c.Message != tc.message {
			t.Errorf("%s/%s: %s\nwant %s/%s: %s", c.Status, c.Reason, c.Message, tc.status, tc.reason, tc.message)
		}
	}
}

func TestLacksValidKeys(t *testing.T) {
	state := func(states ...v1alpha1.KeyState) (out []v1alpha1.UserKeyStatus) {
		for _, s := range states {
			out = append(out, v1alpha1.UserKeyStatus{State: s})
		}
		return out
	}
	credit := func(c credentials.Credentials, methods ...factor.Combination) credentials.Credentials {
		return c.WithMethods(methods, false)
	}
	anyKey, either := factor.Combination{factor.PublicKey}, factor.Combination{factor.Password}
	both, two := factor.Combination{factor.PublicKey, factor.Password}, factor.Combination{factor.PublicKey, factor.PublicKey}
	keys := credentials.Credentials{Keys: []config.Key{{}, {}}}
	withPassword := credentials.Credentials{Keys: keys.Keys, Password: &config.Password{}}
	certified := credentials.Credentials{Keys: keys.Keys, Certificates: true}
	for _, tc := range []struct {
		name string
		c    credentials.Credentials
		keys []v1alpha1.UserKeyStatus
		want bool
	}{
		{"an expired key", credit(keys, anyKey), state(v1alpha1.KeyExpired), true},
		{"an expired key and one to come", credit(keys, anyKey), state(v1alpha1.KeyExpired, v1alpha1.KeyNotYetValid), true},
		{"an expired key and a good one", credit(keys, anyKey), state(v1alpha1.KeyExpired, v1alpha1.KeyUnused), false},
		{"an expired key and a good one where two are needed", credit(keys, two), state(v1alpha1.KeyExpired, v1alpha1.KeyUnused), true},
		{"two good ones where two are needed", credit(keys, two), state(v1alpha1.KeyActive, v1alpha1.KeyUnused), false},
		{"an expired key and a password", credit(withPassword, anyKey, either), state(v1alpha1.KeyExpired), false},
		{"an expired key and then a password", credit(withPassword, both), state(v1alpha1.KeyExpired), true},
		{"an expired key and certificates", credit(certified, anyKey), state(v1alpha1.KeyExpired), false},
		{"only a password", credit(credentials.Credentials{Password: &config.Password{}}, anyKey, either), nil, false},
	} {
		if got := lacksValidKeys(tc.c, tc.keys); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
