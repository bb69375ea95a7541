// Package delivery writes the configuration of a listener into its Secrets, part by part, so that a refused part does not
// block others; and tracks what is in each written version.
package delivery

import (
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/controllers/conditions"
)

// Version is a configuration that is in the Secrets. It never changes.
type Version struct {
	// Digest of the whole, as pods report it.
	Digest string
	// Shards have the digests of the users' records, by UID.
	Shards []map[types.UID]string
	// HostKeys is a signature of the host keys and their states.
	HostKeys string
	// At is when it was written, or first found written.
	At time.Time
}

// Record returns the digest of a user's record, "" if it has none. A user has a record in one shard.
func (v *Version) Record(uid types.UID) string {
	if v == nil {
		return ""
	}
	for _, s := range v.Shards {
		if digest, ok := s[uid]; ok {
			return digest
		}
	}
	return ""
}

// Result is the result of writing.
type Result struct {
	// Version is what is in the Secrets now, nil if they were never complete.
	Version *Version
	// Complete is set if that is all that was wanted.
	Complete bool
	// Wrote is set if anything was written, so that the pods have something to load.
	Wrote bool
	// Foreign is set if another client changed a Secret meanwhile: it has to be checked again.
	Foreign bool
	// Refusals are parts that need a person's action.
	Refusals []conditions.Problem
	// Err is why other parts could not be written; they are retried.
	Err error
}

// History has the versions that pods may have loaded, so that a pod's report can be evaluated user by user: a pod that is
// one version behind has everything that did not change since. It belongs to one reconciler.
type History struct {
	// versions, the oldest first.
	versions []*Version
	// acknowledged is the last version that every ready pod had loaded.
	acknowledged *Version
}

// maxVersions bounds the history. Pods take about a second for one, so it covers a minute of constant changes.
const maxVersions = 32

// Note adds a version.
func (h *History) Note(v *Version) {
	if v == nil || h.Find(v.Digest) != nil && h.latest() == v {
		return
	}
	for i, old := range h.versions {
		if old.Digest == v.Digest { // back to an earlier configuration
			h.versions = append(h.versions[:i], h.versions[i+1:]...)
			break
		}
	}
	h.versions = append(h.versions, v)
	if n := len(h.versions) - maxVersions; n > 0 {
		h.versions = h.versions[n:]
	}
}

func (h *History) latest() *Version {
	if len(h.versions) == 0 {
		return nil
	}
	return h.versions[len(h.versions)-1]
}

// Find returns the version with a digest, nil if unknown.
func (h *History) Find(digest string) *Version {
	for _, v := range h.versions {
		if v.Digest == digest {
			return v
		}
	}
	return nil
}

// Acknowledge records that every ready pod has loaded a version. Older ones can be forgotten.
func (h *History) Acknowledge(v *Version) {
	h.acknowledged = v
	for i, old := range h.versions {
		if old == v {
			h.versions = h.versions[i:]
			return
		}
	}
}

// Known reports whether any version is known to have been acknowledged.
func (h *History) Known() bool { return h.acknowledged != nil }

// Loaded is what the ready pods have, according to their reports.
type Loaded struct {
	acknowledged *Version
	// known reports whether the pods have been asked, and pods has the version of each ready pod, nil where that is unknown.
	known bool
	pods  []*Version
}

// Loaded returns what pods that report these digests have, which is unknown until the pods have been asked.
func (h *History) Loaded(digests []string, known bool) Loaded {
	l := Loaded{acknowledged: h.acknowledged, known: known}
	for _, d := range digests {
		l.pods = append(l.pods, h.Find(d))
	}
	return l
}

// Has reports whether every ready pod has a user's record. Where a pod's version is unknown, and while no pod is ready, what they
// had last counts: a user is ready as long as its own record is the same, whatever happens to pods or to other users.
func (l Loaded) Has(uid types.UID, record string) bool {
	had := l.acknowledged != nil && l.acknowledged.Record(uid) == record
	for _, v := range l.pods {
		if v == nil && !had || v != nil && v.Record(uid) != record {
			return false
		}
	}
	return had || len(l.pods) > 0
}

// Lacks reports whether no ready pod serves any record of a user: only then may a status say that access was removed. It is
// unknown if the pods have not been asked and nothing was acknowledged.
func (l Loaded) Lacks(uid types.UID) bool {
	absent := l.acknowledged != nil && l.acknowledged.Record(uid) == ""
	if !l.known {
		return absent
	}
	for _, v := range l.pods {
		if v == nil && !absent || v.Record(uid) != "" {
			return false
		}
	}
	return true
}

// Changes are the users for which pods have something other than before.
type Changes struct {
	// All means that it may be any user.
	All bool
	// Users with a changed record.
	Users map[types.UID]bool
}

// Of reports whether what pods have of a user may have changed.
func (c *Changes) Of(uid types.UID) bool { return c.All || c.Users[uid] }

// Changes compares what pods have with what they had before. Unchanged shards are not searched: for users without a
// change, Has and Lacks return the same as before.
func (l Loaded) Changes(before Loaded) *Changes {
	out := &Changes{Users: map[types.UID]bool{}}
	if l.known != before.known || len(l.pods) != len(before.pods) || !out.compare(l.acknowledged, before.acknowledged) {
		return &Changes{All: true}
	}
	for i := range l.pods {
		if !out.compare(l.pods[i], before.pods[i]) {
			return &Changes{All: true}
		}
	}
	return out
}

// compare records whose records differ. It returns false if the versions have too little in common to tell.
func (c *Changes) compare(v, before *Version) bool {
	switch {
	case v == before:
		return true
	case v == nil || before == nil:
		return false
	}
	for i := range max(len(v.Shards), len(before.Shards)) {
		var is, was map[types.UID]string
		if i < len(v.Shards) {
			is = v.Shards[i]
		}
		if i < len(before.Shards) {
			was = before.Shards[i]
		}
		if sameMap(is, was) {
			continue
		}
		for uid, digest := range is {
			if old, ok := was[uid]; !ok || old != digest {
				c.Users[uid] = true
			}
		}
		for uid := range was {
			if _, ok := is[uid]; !ok {
				c.Users[uid] = true
			}
		}
	}
	return true
}

// sameMap reports whether two maps are the same one, not only equal.
func sameMap(a, b map[types.UID]string) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// HostKeys reports whether every ready pod, and at least one, has host keys and states with a signature.
func (l Loaded) HostKeys(signature string) bool {
	for _, v := range l.pods {
		if v == nil || v.HostKeys != signature {
			return false
		}
	}
	return len(l.pods) > 0
}
