// Package outcome turns what is known about each user of a listener into the user's conditions. It is pure, and only
// processes users that changed.
package outcome

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/keyuse"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

// Input is what the outcomes of a listener's users depend on.
type Input struct {
	Listener *v1alpha1.SFTPListener
	// Generation of the listener's spec that Users were compiled from.
	Generation int64
	// Users as compiled, and Latest from the informers, with a newer status.
	Users  []*compile.User
	Latest func(types.NamespacedName) *v1alpha1.SFTPUser
	Uses   *keyuse.Tracker
	// Used are the users with a reported use of a key, proof, or refused login.
	Used     map[types.UID]bool
	HostKeys []v1alpha1.HostKeyStatus
	// Loaded is what the ready pods have.
	Loaded delivery.Loaded
	// Rejected are the UIDs of users whose records some pod could not use.
	Rejected map[string]bool
	// Unmounted returns a volume of a user that a ready pod lacks, "" if there is none.
	Unmounted func(*v1alpha1.SFTPUser) string
	// Settling defers the outcomes of users whose records are being delivered to the pods: that takes less than a second, and
	// a condition that flips meanwhile is noise.
	Settling bool
	// Unknown is set if it is unknown what the pods have: the operator has just started, and has not read its own Secrets or
	// asked the pods yet. Statuses written by other operators stay unchanged.
	Unknown bool
	// Away is why no pod serves users, as a reason of Ready; empty if some pod is ready, or was until a moment ago.
	Away conditions.Problem
	// Pending is why pods have not loaded records, and RolledOut why pods are older than a volume.
	Pending, RolledOut string
	Now                time.Time
}

// Result is what is known about the users.
type Result struct {
	// Changed are the outcomes that differ from the last ones, and Gone are users that the listener no longer has.
	Changed []user.Outcome
	Gone    []types.NamespacedName
	// Left reports whether a user is gone, possibly replaced by another one of the same name.
	Left bool
	// Next is when the state of a key will change because of time, zero if none will.
	Next time.Time
	// Ready and NotReady are the numbers of users by their condition Ready, Attached is the number of accepted users, and Held
	// that of users with deferred outcomes.
	Ready, NotReady, Attached, Held int
	// Reasons counts the users that are not ready by reason. It is not changed later.
	Reasons map[string]int
	// LockedOut counts, by reason, the users who could log in until the listener's spec changed, and whose own spec has not
	// changed: the listener's owner needs to know.
	LockedOut map[string]int
	// Proved is the number of users with proof of a host key, by fingerprint.
	Proved map[string]int32
}

// Inactive returns how many of the users that are not ready are intentionally inactive.
func (r *Result) Inactive() int { return r.count(conditions.Inactive) }

// Waiting returns how many of the users that are not ready will become ready without intervention.
func (r *Result) Waiting() int { return r.count(conditions.Waiting) + r.Reasons[""] }

func (r *Result) count(class conditions.Class) (n int) {
	for reason, users := range r.Reasons {
		if reason != "" && conditions.ClassOf(reason) == class {
			n += users
		}
	}
	return n
}

// Users computes outcomes. memo belongs to the listener, and has the previous results.
func Users(in Input, memo *Memo) Result {
	b := builder{Input: in, memo: memo}
	b.begin()
	for _, u := range in.Users {
		b.user(u)
	}
	return b.finish()
}

// conditionsOf returns the conditions of a user with its current keys.
func (b *builder) conditionsOf(u *compile.User, keys []v1alpha1.UserKeyStatus) []metav1.Condition {
	reason, message, accepted := u.Reason, u.Message, u.Accepted()
	if u.Overflow {
		reason, accepted = v1alpha1.ReasonListenerFull, false
		message = "The records of the listener's users do not fit; ask its owner to raise maxUsers"
	}
	if !accepted {
		ready := conditions.False(v1alpha1.ConditionReady, reason, message)
		if !b.Loaded.Lacks(u.User.UID) {
			ready = conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonRemoving,
				message+". The login is being removed: not every pod has acknowledged that yet")
		}
		const unseen = "Not evaluated until the user is accepted"
		return []metav1.Condition{
			conditions.False(v1alpha1.ConditionAccepted, reason, message),
			conditions.Unknown(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonPending, unseen),
			ready,
			conditions.Unknown(v1alpha1.ConditionKeysValid, v1alpha1.ReasonPending, unseen),
		}
	}
	refs, isAccepted := resolvedRefs(u), conditions.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, message)
	if end := u.User.Spec.ExpirationTime; end != nil && b.warnOfEnd(u.User).IsZero() {
		isAccepted = conditions.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonLoginExpiring,
			fmt.Sprintf("The login ends at %s; set a later spec.expirationTime if it is still needed then", end.UTC().Format(time.RFC3339)))
	}
	return []metav1.Condition{
		isAccepted,
		refs,
		b.ready(u, keys, refs),
		keysValid(keys, b.memo.sharedIn(u.User.Namespace)),
	}
}

// warnOfEnd returns when the end of a login becomes near enough to be reported, zero if it already is, or if the login has no
// end.
func (b *builder) warnOfEnd(u *v1alpha1.SFTPUser) time.Time {
	end := u.Spec.ExpirationTime
	if end == nil {
		return time.Time{}
	}
	if at := end.Add(-keyuse.ExpiringWithin(b.Listener.Spec.KeyPolicy)); b.Now.Before(at) {
		return at
	}
	return time.Time{}
}

// resolvedRefs returns the condition on what a user refers to.
func resolvedRefs(u *compile.User) metav1.Condition {
	c := u.Credentials
	if p, ok := c.Problem(); ok {
		return conditions.False(v1alpha1.ConditionResolvedRefs, p.Reason, p.Message)
	}
	if len(c.Failures) > 0 {
		return conditions.Unknown(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonSecretUnreadable,
			c.Failures[0]+". Keys that were read before stay in effect; the operator retries")
	}
	return conditions.True(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, "All keys and Secrets are usable")
}

// ready returns the condition Ready of an accepted user.
func (b *builder) ready(u *compile.User, keys []v1alpha1.UserKeyStatus, refs metav1.Condition) metav1.Condition {
	no := func(reason, format string, args ...any) metav1.Condition {
		return conditions.False(v1alpha1.ConditionReady, reason, fmt.Sprintf(format, args...))
	}
	uid := u.User.UID
	switch {
	case refs.Status == metav1.ConditionFalse && u.Credentials.CanLogIn():
		return no(refs.Reason, "%s. The other credentials work", refs.Message)
	case refs.Status == metav1.ConditionFalse, len(u.Credentials.Pending) > 0, refs.Status == metav1.ConditionUnknown && !u.Credentials.CanLogIn():
		return no(refs.Reason, "%s", refs.Message)
	case b.Rejected[string(uid)]:
		message := "A pod of the listener cannot use this user's record; see its log. Usually its image is older than the operator"
		if b.Listener.Spec.Infrastructure.Rollout == v1alpha1.RolloutPaused {
			message += "; the listener's rollouts are paused"
		}
		return no(v1alpha1.ReasonUserRejected, "%s", message)
	case u.Err != nil:
		return no(v1alpha1.ReasonUserRejected, "The user cannot be configured: %v", u.Err)
	case b.Away.Reason != "":
		return no(b.Away.Reason, "%s", b.Away.Message)
	case u.Digest == "" || !b.Loaded.Has(uid, u.Digest):
		return no(v1alpha1.ReasonConfigPending, "The listener's pods have not loaded this user yet: %s", b.Pending)
	}
	if v := b.Unmounted(u.User); v != "" {
		return no(v1alpha1.ReasonVolumeNotMounted, "A pod of the listener is older than its volume %q and does not have it: %s", v, b.RolledOut)
	}
	if lacksValidKeys(u.Credentials, keys) {
		return no(v1alpha1.ReasonNoValidKey, "Too few keys of the user are valid now (see the condition KeysValid); give the user a new one")
	}
	return conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "The user can log in")
}

func nameOf(u *v1alpha1.SFTPUser) types.NamespacedName {
	return types.NamespacedName{Namespace: u.Namespace, Name: u.Name}
}
