// Package record keeps what partners rely on beyond the life of a listener: where the home directories are, which host keys
// clients know, who holds a login name that several users ask for, and who has a login where there are too few. It is kept in a
// separate Secret, which outlives the listener as its claims do and belongs in each backup, because restored objects have new
// UIDs and creation times, and no status.
//
// The decisions are pure; Read and Write access the Secret.
package record

import (
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
)

const (
	// RestoreWindow is how long a record takes precedence over the current state after a listener was recreated. During that
	// time, objects of a backup may be restored in any order: a name is reserved for the user who had it, whether or not that
	// user exists yet.
	RestoreWindow = 7 * 24 * time.Hour
	// MaxLogins limits the contested login names of a record, so that tenants cannot make it larger than a Secret may be.
	MaxLogins = 2000
	// maxPlaces limits the users of a record: as many as a listener may have logins.
	maxPlaces = 40000
	// maxHostKeys is the limit of status.hostKeys, and maxSize limits what is read and written.
	maxHostKeys = 16
	maxSize     = 1 << 20
)

// Record is the content of a listener's record.
type Record struct {
	// UID of the listener that wrote it.
	UID types.UID `json:"uid"`
	// RestoredTime is when a listener adopted the record of an earlier one, zero if none did.
	RestoredTime time.Time `json:"restoredTime,omitzero"`
	// KeysPending means that HostKeys are those of the earlier listener, and not yet in use again.
	KeysPending bool `json:"keysPending,omitempty"`
	// Home is the volume with the home directories; nil for one that does not outlive its pod.
	Home *v1alpha1.HomeVolume `json:"home,omitempty"`
	// HostKeys are the keys that clients know or that are announced to them.
	HostKeys []HostKey `json:"hostKeys,omitempty"`
	// Logins are the names that several users ask for, each with its holder.
	Logins []Login `json:"logins,omitempty"`
	// Places are the users that have a login while others wait for one. If only some namespaces have no logins left, it has
	// their users.
	Places attach.Places `json:"places,omitempty"`
}

// HostKey is a host key and its state.
type HostKey struct {
	// Name of the SFTPKey, and its revision, 0 for one that was not generated.
	Name        string                `json:"name"`
	Revision    int32                 `json:"revision,omitempty"`
	Algorithm   string                `json:"algorithm"`
	Fingerprint string                `json:"fingerprint"`
	State       v1alpha1.HostKeyState `json:"state"`
	Since       time.Time             `json:"since,omitzero"`
}

// Login is a login name and the SFTPUser that has it.
type Login struct {
	Username  string `json:"username"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Decode decodes a record. Unknown fields are ignored. An error is about the format only, and quotes nothing.
func Decode(data []byte) (Record, error) {
	var r Record
	if len(data) > maxSize {
		return Record{}, fmt.Errorf("the record has %d bytes, more than %d", len(data), maxSize)
	}
	if json.Unmarshal(data, &r) != nil {
		return Record{}, fmt.Errorf("the record is damaged")
	}
	if len(r.HostKeys) > maxHostKeys || len(r.Logins) > MaxLogins {
		return Record{}, fmt.Errorf("the record has %d host keys and %d login names, more than %d and %d", len(r.HostKeys), len(r.Logins), maxHostKeys, MaxLogins)
	}
	if err := r.Places.Check(maxPlaces); err != nil {
		return Record{}, fmt.Errorf("the record is damaged: %w", err)
	}
	return r, nil
}

// Encode encodes a record: equal records give equal bytes.
func (r Record) Encode() ([]byte, error) { return json.Marshal(r) }

// Restoring reports whether objects of a backup may still be restored.
func (r Record) Restoring(now time.Time) bool {
	return !r.RestoredTime.IsZero() && now.Sub(r.RestoredTime).Abs() < RestoreWindow
}

// TakenUp returns the record as adopted by the listener with a UID. A record with a different UID is from before the listener
// was recreated.
func (r Record) TakenUp(uid types.UID, now time.Time) Record {
	if r.UID != "" && r.UID != uid {
		r.RestoredTime, r.KeysPending = now.UTC().Truncate(time.Second), len(r.HostKeys) > 0
	}
	r.UID = uid
	return r
}

// Holders returns who should have which login name although others have it now, nil if there are none.
func (r Record) Holders(now time.Time) map[string]types.NamespacedName {
	if !r.Restoring(now) || len(r.Logins) == 0 {
		return nil
	}
	out := make(map[string]types.NamespacedName, len(r.Logins))
	for _, l := range r.Logins {
		out[l.Username] = types.NamespacedName{Namespace: l.Namespace, Name: l.Name}
	}
	return out
}

// PlacesBefore returns who should have a login although others have it now, none if there are none.
func (r Record) PlacesBefore(now time.Time) attach.Places {
	if !r.Restoring(now) {
		return nil
	}
	return r.Places
}

// KeyOf returns the fingerprint of the key that an SFTPKey had in a revision, "" if the record has none.
func (r Record) KeyOf(name string, revision int32) string {
	for i := range r.HostKeys {
		if k := &r.HostKeys[i]; k.Name == name && k.Revision == revision {
			return k.Fingerprint
		}
	}
	return ""
}
