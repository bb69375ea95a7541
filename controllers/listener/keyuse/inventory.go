package keyuse

import (
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Inventory returns a user's keys with their states and dates, and when the next state changes with time, zero if none
// does. keys are the resolved ones, without dates; the user's status has their known dates.
func (t *Tracker) Inventory(u *v1alpha1.SFTPUser, keys []v1alpha1.UserKeyStatus, policy v1alpha1.ListenerKeyPolicy, now time.Time) (
	out []v1alpha1.UserKeyStatus, next time.Time,
) {
	status := make(map[string]*v1alpha1.UserKeyStatus, len(u.Status.Keys))
	for i := range u.Status.Keys {
		status[u.Status.Keys[i].Fingerprint] = &u.Status.Keys[i]
	}
	out = slices.Clone(keys)
	for i := range out {
		k := &out[i]
		k.AddedDate, k.LastUsedDate = now.UTC().Format(v1alpha1.DateFormat), t.LastUsed(u.UID, k.Fingerprint)
		if known, ok := status[k.Fingerprint]; ok {
			k.LastUsedDate = max(k.LastUsedDate, known.LastUsedDate) // ISO dates sort lexically
			if known.AddedDate != "" {
				k.AddedDate = known.AddedDate
			}
		}
		var changes time.Time
		if k.State, changes = keyState(k, policy, now); !changes.IsZero() && (next.IsZero() || changes.Before(next)) {
			next = changes
		}
	}
	return out, next
}

// ExpiringWithin returns how long before its end a key, or a login, counts as expiring.
func ExpiringWithin(policy v1alpha1.ListenerKeyPolicy) time.Duration {
	within := render.DefaultExpiringWithinDays
	if policy.ExpiringWithinDays != nil {
		within = int(*policy.ExpiringWithinDays)
	}
	return time.Duration(within) * day
}

// keyState returns the state of a key, and when it changes with time, zero for never.
func keyState(k *v1alpha1.UserKeyStatus, policy v1alpha1.ListenerKeyPolicy, now time.Time) (v1alpha1.KeyState, time.Time) {
	if k.State != "" {
		return k.State, time.Time{} // it cannot be used, whatever its validity period
	}
	var next time.Time
	switch {
	case k.ExpirationTime != nil && !now.Before(k.ExpirationTime.Time):
		return v1alpha1.KeyExpired, time.Time{}
	case k.NotBefore != nil && now.Before(k.NotBefore.Time):
		return v1alpha1.KeyNotYetValid, k.NotBefore.Time
	case k.ExpirationTime != nil:
		next = k.ExpirationTime.Add(-ExpiringWithin(policy))
		if !now.Before(next) {
			return v1alpha1.KeyExpiring, k.ExpirationTime.Time
		}
	}
	if policy.UnusedAfterDays == nil {
		return v1alpha1.KeyActive, next
	}
	// A day ends where the next one begins, so all of a key's last day counts.
	unused := lastActivity(k).Add(time.Duration(*policy.UnusedAfterDays+1) * day)
	if !now.Before(unused) {
		return v1alpha1.KeyUnused, next
	}
	if next.IsZero() || unused.Before(next) {
		next = unused
	}
	return v1alpha1.KeyActive, next
}

// lastActivity returns the beginning of the last day on which a key was used, or before which it could not be.
func lastActivity(k *v1alpha1.UserKeyStatus) time.Time {
	last, _ := time.Parse(v1alpha1.DateFormat, max(k.AddedDate, k.LastUsedDate)) // the zero time without them
	if k.NotBefore != nil && k.NotBefore.After(last) {
		last = k.NotBefore.UTC().Truncate(day)
	}
	return last
}
