// Package inventory lists the public keys of users: their users, origins and states. It is pure: the operator has put
// everything into the users' status.
package inventory

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// States of a key in addition to the API's.
const (
	// Pending: the operator has not processed it, or does not accept the user. Invalid: it cannot be used; Note says
	// why.
	Pending = "Pending"
	Invalid = "Invalid"
	// Suspended and UserExpired are states of the key's user.
	Suspended   = "Suspended"
	UserExpired = "UserExpired"
)

// Key is one key of one user.
type Key struct {
	Namespace string `json:"namespace"`
	User      string `json:"user"`
	Listener  string `json:"listener"` // namespace/name
	// Fingerprint is empty for a line that cannot be parsed.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Type is the SSH name of the key's type, and Bits the size of its RSA modulus or curve.
	Type string `json:"type,omitempty"`
	Bits int32  `json:"bits,omitempty"`
	// Origin is what holds the key: inline, secret/NAME or sftpkey/NAME.
	Origin  string `json:"origin"`
	Comment string `json:"comment,omitempty"`
	// AddedDate and LastUsedDate are days in UTC.
	AddedDate    string `json:"addedDate,omitempty"`
	LastUsedDate string `json:"lastUsedDate,omitempty"`
	// NotBefore of the key. ExpirationTime of the key or of its user, the earlier one.
	NotBefore      *time.Time `json:"notBefore,omitempty"`
	ExpirationTime *time.Time `json:"expirationTime,omitempty"`
	State          string     `json:"state"`
	// SharedWith are other users with the same key, as namespace/name, among those that were listed.
	SharedWith []string `json:"sharedWith,omitempty"`
	Note       string   `json:"note,omitempty"`
}

// Of lists the keys of users, sorted by namespace, user and their order there.
func Of(users []v1alpha1.SFTPUser, now time.Time) []Key {
	out := []Key{}
	for i := range users {
		out = append(out, keysOf(&users[i], now)...)
	}
	slices.SortStableFunc(out, func(a, b Key) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.User, b.User))
	})
	markShared(out)
	return out
}

func keysOf(u *v1alpha1.SFTPUser, now time.Time) []Key {
	var out []Key
	known := map[string]bool{}
	for _, k := range u.Status.Keys {
		known[k.Fingerprint] = true
		out = append(out, Key{
			Fingerprint: k.Fingerprint, Type: k.Type, Bits: k.Bits, Origin: k.Source, Comment: k.Comment,
			AddedDate: k.AddedDate, LastUsedDate: k.LastUsedDate,
			NotBefore: utc(k.NotBefore), ExpirationTime: utc(k.ExpirationTime), State: string(k.State),
		})
	}
	for _, line := range u.Spec.Authentication.AuthorizedKeys {
		if k := inline(line); !known[k.Fingerprint] {
			out = append(out, k)
		}
	}
	for i := range out {
		out[i] = out[i].ofUser(u, now)
	}
	return out
}

// inline returns the key in a line of the spec that the operator does not list.
func inline(line string) Key {
	k := Key{Origin: "inline", State: Pending, Note: "the operator has not seen it, or does not accept the user"}
	if public, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil {
		k.Fingerprint, k.Type, k.Bits, k.Comment = ssh.FingerprintSHA256(public), public.Type(), publickey.Size(public), comment
	}
	if _, err := publickey.ParseLine(line); err != nil {
		k.State, k.Note = Invalid, err.Error()
	}
	return k
}

// ofUser adds what depends on the user. The status still has what the operator knew about the keys of a user that it no
// longer accepts.
func (k Key) ofUser(u *v1alpha1.SFTPUser, now time.Time) Key {
	k.Namespace, k.User = u.Namespace, u.Name
	k.Listener = cmp.Or(u.Spec.ListenerRef.Namespace, u.Namespace) + "/" + u.Spec.ListenerRef.Name
	end := utc(u.Spec.ExpirationTime)
	if end != nil && (k.ExpirationTime == nil || end.Before(*k.ExpirationTime)) {
		k.ExpirationTime = end
	}
	switch {
	case k.State == Invalid:
	case end != nil && !now.Before(*end):
		k.State = UserExpired
	case u.Spec.State == v1alpha1.UserSuspended:
		k.State = Suspended
	}
	return k
}

func utc(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}

// LogsIn reports whether keys in a state log in.
func LogsIn(s v1alpha1.KeyState) bool {
	return s == v1alpha1.KeyActive || s == v1alpha1.KeyExpiring || s == v1alpha1.KeyUnused
}

// Unused reports whether the key has not been used since a day. A key that was added later is not unused yet, and one
// unknown to the operator could never be used.
func (k Key) Unused(since time.Time) bool {
	if k.State == Invalid || k.State == Pending {
		return false
	}
	last := max(k.LastUsedDate, k.AddedDate) // days in this format sort like their times
	return last < since.UTC().Format(v1alpha1.DateFormat)
}

func markShared(keys []Key) {
	holders := map[string][]string{}
	for _, k := range keys {
		holder := k.Namespace + "/" + k.User
		if k.Fingerprint != "" && !slices.Contains(holders[k.Fingerprint], holder) {
			holders[k.Fingerprint] = append(holders[k.Fingerprint], holder)
		}
	}
	for i := range keys {
		for _, h := range holders[keys[i].Fingerprint] {
			if h != keys[i].Namespace+"/"+keys[i].User {
				keys[i].SharedWith = append(keys[i].SharedWith, h)
			}
		}
	}
}
