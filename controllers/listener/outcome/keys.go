package outcome

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// keysValid summarizes a user's keys, the worst first. shared reports whether several users of the namespace have a key: a
// tenant must not learn about those in another namespace.
func keysValid(keys []v1alpha1.UserKeyStatus, shared func(fingerprint string) bool) metav1.Condition {
	for _, bad := range []struct {
		state           v1alpha1.KeyState
		reason, message string
		at              func(*v1alpha1.UserKeyStatus) *metav1.Time
	}{
		{v1alpha1.KeyExpired, v1alpha1.ReasonKeyExpired, "expired at", func(k *v1alpha1.UserKeyStatus) *metav1.Time { return k.ExpirationTime }},
		{v1alpha1.KeyExpiring, v1alpha1.ReasonKeyExpiring, "ends at", func(k *v1alpha1.UserKeyStatus) *metav1.Time { return k.ExpirationTime }},
		{v1alpha1.KeyNotYetValid, v1alpha1.ReasonKeyNotYetValid, "is valid from", func(k *v1alpha1.UserKeyStatus) *metav1.Time { return k.NotBefore }},
	} {
		var which []string
		for i := range keys {
			if k := &keys[i]; k.State == bad.state {
				which = append(which, fmt.Sprintf("%s (%s) %s %s", k.Fingerprint, k.Source, bad.message, bad.at(k).UTC().Format(time.RFC3339)))
			}
		}
		if len(which) > 0 {
			return conditions.False(v1alpha1.ConditionKeysValid, bad.reason, strings.Join(which, "; "))
		}
	}
	for _, odd := range []struct {
		reason, message string
		is              func(*v1alpha1.UserKeyStatus) bool
	}{
		{v1alpha1.ReasonKeyUnused, "has not been used for a long time", func(k *v1alpha1.UserKeyStatus) bool { return k.State == v1alpha1.KeyUnused }},
		{
			v1alpha1.ReasonKeyShared, "also belongs to other SFTPUsers of the namespace",
			func(k *v1alpha1.UserKeyStatus) bool { return shared(k.Fingerprint) },
		},
	} {
		var which []string
		for i := range keys {
			if odd.is(&keys[i]) {
				which = append(which, fmt.Sprintf("%s (%s) %s", keys[i].Fingerprint, keys[i].Source, odd.message))
			}
		}
		if len(which) > 0 {
			return conditions.True(v1alpha1.ConditionKeysValid, odd.reason, strings.Join(which, "; "))
		}
	}
	return conditions.True(v1alpha1.ConditionKeysValid, v1alpha1.ReasonKeysValid, "No key has expired or is about to")
}

// lacksValidKeys reports whether a user cannot log in with its keys now: each of its methods needs more keys than are valid.
// A user that accepts certificates may have one.
func lacksValidKeys(c credentials.Credentials, keys []v1alpha1.UserKeyStatus) bool {
	if len(c.Keys) == 0 || c.Certificates {
		return false
	}
	valid := 0
	for i := range keys {
		if s := keys[i].State; s == v1alpha1.KeyActive || s == v1alpha1.KeyExpiring || s == v1alpha1.KeyUnused {
			valid++
		}
	}
	return !slices.ContainsFunc(c.Methods, func(m factor.Combination) bool { return m.Count(factor.PublicKey) <= valid })
}
