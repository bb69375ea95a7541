// Package keyuse remembers what pods report about logins: on which day each key last logged in, which users have proof of which
// host keys, and which users' logins were refused. It is pure, and validates reports from pods.
package keyuse

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

const day = 24 * time.Hour

// Tracker is what is known about one listener's users. The zero value knows nothing.
type Tracker struct {
	// lastUsed are the days on which keys were last used, by user and fingerprint.
	lastUsed map[types.UID]map[string]string
	// proved are the host keys that were proved to clients, by user and fingerprint.
	proved map[types.UID]map[string]bool
	// refused are users' refused logins.
	refused  map[types.UID]*refused
	releases releases
}

// Known are the users and keys that reports may be about.
type Known struct {
	// Keys returns the fingerprints of a user's keys and whether it is a user of the listener. A key may have been removed
	// in the minute after its last login, so former keys count.
	Keys func(uid types.UID) (fingerprints []string, ok bool)
	// HostKeys are the fingerprints of the listener's host keys.
	HostKeys []string
	Now      time.Time
}

// Note merges reports and returns the users with news. Days never go back: pods report in any order. Invalid days and
// unknown keys are ignored.
func (t *Tracker) Note(uses []config.KeyUse, proofs []config.HostKeyProof, known Known) map[types.UID]bool {
	changed := map[types.UID]bool{}
	latest := known.Now.Add(day).UTC().Format(time.DateOnly) // clocks differ
	for _, u := range uses {
		uid := types.UID(u.UID)
		keys, ok := known.Keys(uid)
		if _, err := time.Parse(time.DateOnly, u.Day); !ok || err != nil || u.Day > latest || !slices.Contains(keys, u.Fingerprint) {
			continue
		}
		if t.lastUsed[uid][u.Fingerprint] >= u.Day { // ISO dates sort lexically
			continue
		}
		t.lastUsed = put(t.lastUsed, uid, u.Fingerprint, u.Day)
		changed[uid] = true
	}
	for _, p := range proofs {
		uid := types.UID(p.UID)
		if _, ok := known.Keys(uid); !ok || !slices.Contains(known.HostKeys, p.Fingerprint) || t.proved[uid][p.Fingerprint] {
			continue
		}
		t.proved = put(t.proved, uid, p.Fingerprint, true)
		changed[uid] = true
	}
	return changed
}

func put[V any](m map[types.UID]map[string]V, uid types.UID, fingerprint string, v V) map[types.UID]map[string]V {
	if m == nil {
		m = map[types.UID]map[string]V{}
	}
	if m[uid] == nil {
		m[uid] = map[string]V{}
	}
	m[uid][fingerprint] = v
	return m
}

// Retain forgets users that the listener no longer has, and host keys that it no longer has.
func (t *Tracker) Retain(user func(types.UID) bool, hostKeys []string) {
	for uid := range t.lastUsed {
		if !user(uid) {
			delete(t.lastUsed, uid)
		}
	}
	for uid := range t.refused {
		if !user(uid) {
			delete(t.refused, uid)
		}
	}
	for uid, keys := range t.proved {
		if !user(uid) {
			delete(t.proved, uid)
			continue
		}
		for k := range keys {
			if !slices.Contains(hostKeys, k) {
				delete(keys, k)
			}
		}
	}
}

// LastUsed returns the day on which a user's key was last used, "" if none is known.
func (t *Tracker) LastUsed(uid types.UID, fingerprint string) string {
	return t.lastUsed[uid][fingerprint]
}

// Proved returns those of a listener's host keys that a user has proof of, sorted: from pods' reports since the operator
// started, and from the user's status.
func (t *Tracker) Proved(u *v1alpha1.SFTPUser, hostKeys []v1alpha1.HostKeyStatus) []string {
	var out []string
	for i := range hostKeys {
		k := hostKeys[i].Fingerprint
		if t.proved[u.UID][k] || slices.Contains(u.Status.ProvedHostKeys, k) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}
