package compile

import (
	"bytes"
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Recalled is what an earlier operator left.
type Recalled struct {
	// Seats and Slots for Input.
	Seats map[types.UID]attach.Seat
	Slots map[string]shard.Slot
	// Passwords by their Source, so that equal passwords keep their hashes.
	Passwords map[string]*config.Password
}

// Recall determines who held what, from the shards that were written and from the users'
// statuses, which also cover suspended users without a record.
//
// A record belongs to the user with its UID, otherwise to the one with its namespace and
// name: objects restored from a backup have new UIDs, and keep their places.
func Recall(shards [][]byte, users []*v1alpha1.SFTPUser) Recalled {
	out := Recalled{Seats: map[types.UID]attach.Seat{}, Slots: map[string]shard.Slot{}, Passwords: map[string]*config.Password{}}
	byUID, byName := map[types.UID]*v1alpha1.SFTPUser{}, map[types.NamespacedName]*v1alpha1.SFTPUser{}
	for _, u := range users {
		byUID[u.UID] = u
		byName[types.NamespacedName{Namespace: u.Namespace, Name: u.Name}] = u
	}
	for i, data := range shards {
		for line := range bytes.Lines(data) {
			// Not strictly: the line may be from a different version of the operator.
			var r config.User
			if json.Unmarshal(line, &r) != nil {
				continue
			}
			if r.Password != nil && r.Password.Source != "" {
				out.Passwords[r.Password.Source] = r.Password
			}
			u := byUID[types.UID(r.UID)]
			if u == nil {
				u = byName[types.NamespacedName{Namespace: r.Namespace, Name: r.Name}]
			}
			if u == nil {
				continue
			}
			out.Seats[u.UID] = attach.Seat{Username: r.Username, Login: true}
			out.Slots[string(u.UID)] = shard.Slot{Shard: i, Bytes: len(line)}
		}
	}
	for _, u := range users {
		if _, ok := out.Seats[u.UID]; ok {
			continue
		}
		if seat, ok := seatInStatus(u); ok {
			out.Seats[u.UID] = seat
		}
	}
	return out
}

// seatInStatus returns what a user held according to its status.
func seatInStatus(u *v1alpha1.SFTPUser) (attach.Seat, bool) {
	c := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionAccepted)
	if c == nil || c.Status == metav1.ConditionUnknown || u.Status.Username == "" {
		return attach.Seat{}, false
	}
	without := []string{
		v1alpha1.ReasonListenerNotFound, v1alpha1.ReasonNotAllowedByListener,
		v1alpha1.ReasonInvalidUsername, v1alpha1.ReasonUsernameConflict,
	}
	return attach.Seat{Username: u.Status.Username, Login: c.Status == metav1.ConditionTrue}, !slices.Contains(without, c.Reason)
}

// Lines finds records in shards. It searches a shard when asked for a record in it, and each
// content only once. The zero Lines has none.
type Lines struct {
	shards  [][]byte
	indexed []map[string][]byte
}

// Set replaces the shards. Those that are the same memory as before are not searched again.
func (l *Lines) Set(shards [][]byte) {
	indexed := make([]map[string][]byte, len(shards))
	for i := range shards {
		if i < len(l.shards) && identical(l.shards[i], shards[i]) {
			indexed[i] = l.indexed[i]
		}
	}
	l.shards, l.indexed = shards, indexed
}

// Get returns the line of the user with a UID, nil if there is none.
func (l *Lines) Get(uid string) []byte {
	for i := range l.shards {
		if l.indexed[i] == nil {
			l.indexed[i] = index(l.shards[i])
		}
		if line := l.indexed[i][uid]; line != nil {
			return line
		}
	}
	return nil
}

func index(shard []byte) map[string][]byte {
	out := map[string][]byte{}
	for line := range bytes.Lines(shard) {
		var r struct {
			UID string `json:"uid"`
		}
		if json.Unmarshal(line, &r) == nil && r.UID != "" {
			out[r.UID] = line
		}
	}
	return out
}
