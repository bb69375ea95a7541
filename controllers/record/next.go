package record

import (
	"cmp"
	"encoding/base64"
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
)

// Current is what a listener has now.
type Current struct {
	// Home is the volume that has the home directories.
	Home *v1alpha1.HomeVolume
	// HostKeys as in the status; KeysUsed is set once pods get these: until then they are not what clients know.
	HostKeys []v1alpha1.HostKeyStatus
	KeysUsed bool
	// Logins are the contested names with their holders, and Places who has a login while others wait for one; LoginsKnown is
	// false if the users were not evaluated.
	Logins      []Login
	Places      attach.Places
	LoginsKnown bool
}

// Next returns the record after a reconcile of the listener. While a backup is being restored, none of it is replaced: what
// came first may not be what partners know.
func (r Record) Next(c Current, now time.Time) Record {
	restoring := r.Restoring(now)
	if !restoring {
		r.RestoredTime = time.Time{}
	}
	if r.Home = nil; c.Home != nil && c.Home.ClaimName != "" {
		r.Home = c.Home
	}
	if c.KeysUsed {
		r.KeysPending = false
		r.HostKeys = hostKeys(c.HostKeys)
	}
	if !c.LoginsKnown {
		return r
	}
	logins := c.Logins
	if restoring {
		logins = merge(r.Logins, c.Logins)
	} else if r.Places = c.Places; r.Places.Len() > maxPlaces {
		r.Places = nil // there is no such listener
	}
	r.Logins = bounded(logins, maxSize-reserved-base64.StdEncoding.EncodedLen(len(r.Places)))
	return r
}

// reserved is the part of maxSize in bytes that is for everything except Logins and Places. Host keys take the most: 16 names of
// 253 bytes, with the rest of their fields.
const reserved = 16 << 10

func hostKeys(list []v1alpha1.HostKeyStatus) []HostKey {
	out := make([]HostKey, 0, len(list))
	for i := range list {
		k := &list[i]
		h := HostKey{Name: k.Name, Revision: k.Revision, Algorithm: k.Algorithm, Fingerprint: k.Fingerprint, State: k.State}
		if k.StateTime != nil {
			h.Since = k.StateTime.UTC()
		}
		out = append(out, h)
	}
	return out[:min(len(out), maxHostKeys)]
}

// merge returns the old entries, plus new ones for names that have none.
func merge(old, fresh []Login) []Login {
	out := slices.Clone(old)
	for _, l := range fresh {
		if !slices.ContainsFunc(old, func(o Login) bool { return o.Username == l.Username }) {
			out = append(out, l)
		}
	}
	return out
}

// bounded sorts entries, and removes the excess: if there are more contested names than MaxLogins, or than fit into a number of
// bytes, some are decided by age. Two users are enough to contest a name, so a tenant can have any number of them: the namespaces
// with the most names lose some, and never one that has few.
func bounded(list []Login, most int) []Login {
	byName := func(a, b Login) int { return cmp.Compare(a.Username, b.Username) }
	out := slices.Clone(list)
	slices.SortFunc(out, byName)
	out = slices.CompactFunc(out, func(a, b Login) bool { return a.Username == b.Username })
	if fitting(out, most) < len(out) {
		out = inTurns(out)
		out = out[:fitting(out, most)]
		slices.SortFunc(out, byName)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// fitting returns how many of the first entries there is room for.
func fitting(list []Login, most int) int {
	for i, l := range list {
		most -= len(l.Username) + len(l.Namespace) + len(l.Name) + len(`{"username":"","namespace":"","name":""},`)
		if i == MaxLogins || most < 0 {
			return i
		}
	}
	return len(list)
}

// inTurns orders entries so that each namespace has its first before any has its second.
func inTurns(list []Login) []Login {
	turns, next := map[string]int{}, map[string]int{}
	for _, l := range list {
		turns[l.Username] = next[l.Namespace]
		next[l.Namespace]++
	}
	slices.SortStableFunc(list, func(a, b Login) int { return cmp.Compare(turns[a.Username], turns[b.Username]) })
	return list
}
