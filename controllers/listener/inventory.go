package listener

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/factor"
)

const (
	defaultExpiringWithinDays = 30
	day                       = 24 * time.Hour
)

// takeInventory finds out the state of every user's keys, and when the next one changes by
// itself.
func (s *scope) takeInventory() {
	s.keys = make(map[types.UID][]v1alpha1.UserKeyStatus, len(s.decisions))
	for _, d := range s.decisions {
		if c, ok := s.credentials[d.User.UID]; ok {
			s.keys[d.User.UID] = s.keysOf(d.User, c)
		} else {
			// Suspended, say: what is known of its keys is wanted when it is back.
			s.keys[d.User.UID] = d.User.Status.Keys
		}
	}
	s.shared = map[string]map[string]bool{}
	for _, d := range s.decisions {
		if s.shared[d.User.Namespace] == nil {
			s.shared[d.User.Namespace] = map[string]bool{}
		}
		in := s.shared[d.User.Namespace]
		for _, k := range s.keys[d.User.UID] {
			if k.State != v1alpha1.KeyAssignedElsewhere {
				_, twice := in[k.Fingerprint]
				in[k.Fingerprint] = twice
			}
		}
	}
}

func (s *scope) keysOf(u *v1alpha1.SFTPUser, c credentials.Credentials) []v1alpha1.UserKeyStatus {
	status := make(map[string]*v1alpha1.UserKeyStatus, len(u.Status.Keys))
	for i := range u.Status.Keys {
		status[u.Status.Keys[i].Fingerprint] = &u.Status.Keys[i]
	}
	out := slices.Clone(c.Inventory)
	now := s.Now()
	for i := range out {
		k := &out[i]
		k.AddedDate, k.LastUsedDate = now.UTC().Format(v1alpha1.DateFormat), s.memory.lastUsed[u.UID][k.Fingerprint]
		if known, ok := status[k.Fingerprint]; ok {
			k.LastUsedDate = max(k.LastUsedDate, known.LastUsedDate) // as texts they compare like days
			if known.AddedDate != "" {
				k.AddedDate = known.AddedDate
			}
		}
		var next time.Time
		k.State, next = keyState(k, s.listener.Spec.KeyPolicy, now)
		if !next.IsZero() && (s.nextExpiry.IsZero() || next.Before(s.nextExpiry)) {
			s.nextExpiry = next
		}
	}
	return out
}

// keyState is the state of a key, and when it becomes another one by itself, zero for never.
func keyState(k *v1alpha1.UserKeyStatus, policy v1alpha1.ListenerKeyPolicy, now time.Time) (v1alpha1.KeyState, time.Time) {
	if k.State != "" {
		return k.State, time.Time{} // it cannot be used, whatever its times are
	}
	var next time.Time
	switch {
	case k.ExpirationTime != nil && !now.Before(k.ExpirationTime.Time):
		return v1alpha1.KeyExpired, time.Time{}
	case k.NotBefore != nil && now.Before(k.NotBefore.Time):
		return v1alpha1.KeyNotYetValid, k.NotBefore.Time
	case k.ExpirationTime != nil:
		within := defaultExpiringWithinDays
		if policy.ExpiringWithinDays != nil {
			within = int(*policy.ExpiringWithinDays)
		}
		next = k.ExpirationTime.Add(-time.Duration(within) * day)
		if !now.Before(next) {
			return v1alpha1.KeyExpiring, k.ExpirationTime.Time
		}
	}
	if policy.UnusedAfterDays == nil {
		return v1alpha1.KeyActive, next
	}
	// A day ends where the next one begins, so a key has all of its last day.
	unused := lastSign(k).Add(time.Duration(*policy.UnusedAfterDays+1) * day)
	if !now.Before(unused) {
		return v1alpha1.KeyUnused, next
	}
	if next.IsZero() || unused.Before(next) {
		next = unused
	}
	return v1alpha1.KeyActive, next
}

// lastSign is the beginning of the last day on which a key was used, or could not have been
// before.
func lastSign(k *v1alpha1.UserKeyStatus) time.Time {
	last, _ := time.Parse(v1alpha1.DateFormat, max(k.AddedDate, k.LastUsedDate)) // the zero time without them
	if k.NotBefore != nil && k.NotBefore.After(last) {
		last = k.NotBefore.UTC().Truncate(day)
	}
	return last
}

// keysValid sums up a user's keys. The worst comes first. Shared are fingerprints that other
// users of the namespace have, too: of those in another one a tenant must not learn.
func keysValid(keys []v1alpha1.UserKeyStatus, shared map[string]bool) condition {
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
		{v1alpha1.ReasonKeyUnused, "was not used for long", func(k *v1alpha1.UserKeyStatus) bool { return k.State == v1alpha1.KeyUnused }},
		{
			v1alpha1.ReasonKeyShared, "is also with other SFTPUsers of the namespace",
			func(k *v1alpha1.UserKeyStatus) bool { return shared[k.Fingerprint] },
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

// locked says whether a user's keys leave it no way in now: each of its methods needs more of
// them than are valid. A user that accepts certificates may have one.
func locked(c credentials.Credentials, keys []v1alpha1.UserKeyStatus) bool {
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
