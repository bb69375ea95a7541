package key

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
)

// Holder is an SFTPUser of the namespace and what its status says about the key.
type Holder struct {
	User string
	v1alpha1.UserKeyStatus
}

// Holdings is what else determines the conditions of a client key with usable material.
type Holdings struct {
	// Holders have the key in their status, sorted by name.
	Holders []Holder
	// UserExists is set if the SFTPUser of userRef exists.
	UserExists bool
	// Owner is the SFTPKey that assigns the key, nil for none.
	Owner *Client
	Now   time.Time
}

// using returns the holders that log in with the key.
func (h Holdings) using() []string {
	var out []string
	for _, u := range h.Holders {
		if u.State != v1alpha1.KeyAssignedElsewhere {
			out = append(out, u.User)
		}
	}
	return out
}

// lastUsed returns the last day of use of all holders, "" for none.
func (h Holdings) lastUsed() (day string) {
	for _, u := range h.Holders {
		day = max(day, u.LastUsedDate) // ISO dates sort lexically
	}
	return day
}

func (h Holdings) inState(s v1alpha1.KeyState) []string {
	var out []string
	for _, u := range h.Holders {
		if u.State == s {
			out = append(out, u.User)
		}
	}
	return out
}

// Judge evaluates a client key whose material is usable: it returns Ready, unchanged if
// nothing is wrong, and Assigned, nil for a key without userRef.
func (h Holdings) Judge(k *v1alpha1.SFTPKey, ready metav1.Condition) (metav1.Condition, *metav1.Condition) {
	assigned := h.assigned(k)
	no := func(reason, format string, args ...any) (metav1.Condition, *metav1.Condition) {
		return conditions.False(v1alpha1.ConditionReady, reason, fmt.Sprintf(format, args...)), assigned
	}
	at := func(t *metav1.Time) string { return t.UTC().Format(time.RFC3339) }
	end := k.Spec.ExpirationTime
	switch {
	case end != nil && !h.Now.Before(end.Time):
		return no(v1alpha1.ReasonKeyExpired, "The key expired at %s; give the user a new one, or set a later spec.expirationTime", at(end))
	case assigned != nil && assigned.Status == metav1.ConditionFalse && assigned.Reason != v1alpha1.ReasonAssignmentConflict:
		return no(assigned.Reason, "%s", assigned.Message)
	case k.Spec.NotBefore != nil && h.Now.Before(k.Spec.NotBefore.Time):
		return no(v1alpha1.ReasonKeyNotYetValid, "The key is not valid before %s", at(k.Spec.NotBefore))
	}
	if revoked := h.inState(v1alpha1.KeyRevoked); len(revoked) > 0 {
		return no(v1alpha1.ReasonKeyRevoked, "The listener of SFTPUser %s has revoked the key, in spec.revokedKeys or in a list that it names; create a new one", quoted(revoked))
	}
	if weak := h.inState(v1alpha1.KeyWeak); len(weak) > 0 {
		return no(v1alpha1.ReasonWeakKey, "The cryptoPolicy of the listener of SFTPUser %s does not allow the key; create a new one, preferably Ed25519", quoted(weak))
	}
	if len(h.inState(v1alpha1.KeyExpiring)) > 0 && end != nil {
		return conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonKeyExpiring,
			fmt.Sprintf("The key expires at %s; give the user a new one before then, or set a later spec.expirationTime", at(end))), assigned
	}
	if unused := h.inState(v1alpha1.KeyUnused); len(unused) > 0 && len(unused) == len(h.using()) && ready.Reason == v1alpha1.ReasonReady {
		return conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonKeyUnused,
			"The key has not been used recently; delete it if SFTPUser "+quoted(unused)+" no longer needs it"), assigned
	}
	return ready, assigned
}

func (h Holdings) assigned(k *v1alpha1.SFTPKey) *metav1.Condition {
	if k.Spec.UserRef == nil {
		return nil
	}
	name := k.Spec.UserRef.Name
	no := func(reason, format string, args ...any) *metav1.Condition {
		return new(conditions.False(v1alpha1.ConditionAssigned, reason, fmt.Sprintf(format, args...)))
	}
	if h.Owner != nil && h.Owner.Name != k.Name && h.Owner.User != name {
		return no(v1alpha1.ReasonDuplicateKey, "SFTPKey %q, which is older, assigns the same key to SFTPUser %q; give each user a key of its own", h.Owner.Name, h.Owner.User)
	}
	if !h.UserExists {
		return no(v1alpha1.ReasonUserNotFound, "SFTPUser %q does not exist in namespace %q; create it or correct spec.userRef", name, k.Namespace)
	}
	others := slices.DeleteFunc(h.inState(v1alpha1.KeyAssignedElsewhere), func(u string) bool { return u == name })
	if len(others) > 0 {
		return no(v1alpha1.ReasonAssignmentConflict, "SFTPUser %q logs in with the key, but it is also a key of SFTPUser %s, where it does not work; remove it there", name, quoted(others))
	}
	return new(conditions.True(v1alpha1.ConditionAssigned, v1alpha1.ReasonAssigned,
		fmt.Sprintf("Only SFTPUser %q logs in with the key in this namespace", name)))
}

func quoted(names []string) string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, fmt.Sprintf("%q", n))
	}
	return strings.Join(out, ", ")
}

// next returns when the key's own times change something, zero for never.
func next(k *v1alpha1.SFTPKey, now time.Time) (at time.Time) {
	for _, t := range append(rotationTimes(k), k.Spec.NotBefore, k.Spec.ExpirationTime) {
		if t != nil && now.Before(t.Time) && (at.IsZero() || t.Time.Before(at)) {
			at = t.Time
		}
	}
	return at
}

// setAssigned sets the condition, or removes it from a key that has lost its userRef.
func setAssigned(k *v1alpha1.SFTPKey, c *metav1.Condition) bool {
	if c == nil {
		return meta.RemoveStatusCondition(&k.Status.Conditions, v1alpha1.ConditionAssigned)
	}
	return conditions.Set(&k.Status.Conditions, k.Generation, *c)
}
