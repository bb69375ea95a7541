package listener

import (
	"fmt"
	"net"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

type condition = metav1.Condition

// publishOutcomes hands what is known about each user to the user reconciler.
func (s *scope) publishOutcomes() {
	if s.credentials == nil {
		return // a phase failed before users were looked at
	}
	s.noteAcknowledged()
	s.takeInventory()
	keyCounts.set(s.name(), s.keys)
	out := make([]user.Outcome, 0, len(s.decisions))
	for _, d := range s.decisions {
		o := user.Outcome{
			User:       client.ObjectKeyFromObject(d.User),
			UID:        d.User.UID,
			Generation: d.User.Generation,
			Username:   d.Username,
			Address:    s.address(),
		}
		c := s.credentials[d.User.UID]
		o.Keys = s.keys[d.User.UID]
		o.ProvedHostKeys = s.provedHostKeys(d.User)
		o.Conditions = s.userConditions(d, c)
		out = append(out, o)
	}
	s.countUsers(out)
	s.Board.Publish(s.name(), out)
}

// noteAcknowledged remembers which records are in every ready pod. A user stays ready
// while its own record is the same, whatever happens to pods or other users.
func (s *scope) noteAcknowledged() {
	if s.acked {
		s.memory.acknowledged = s.records
		return
	}
	if s.memory.acknowledged == nil && s.before.Status.ConfigDigest == s.files.Digest {
		// An operator before this one saw the same configuration acknowledged.
		s.memory.acknowledged = s.records
	}
}

func (s *scope) userConditions(d attach.Decision, c credentials.Credentials) []condition {
	if s.left[string(d.User.UID)] {
		d.Reason, d.Message = v1alpha1.ReasonListenerFull, "The records of the listener's users do not fit; ask its owner to raise maxUsers"
	}
	if !d.Accepted() {
		return []condition{
			conditions.False(v1alpha1.ConditionAccepted, d.Reason, d.Message),
			conditions.Unknown(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonPending, "Not looked at before the user is accepted"),
			conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonNotAccepted, d.Message),
			conditions.Unknown(v1alpha1.ConditionKeysValid, v1alpha1.ReasonPending, "Not looked at before the user is accepted"),
		}
	}
	valid := keysValid(s.keys[d.User.UID], s.shared[d.User.Namespace])
	accepted := conditions.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, d.Message)
	if p, ok := c.Problem(); ok {
		message := p.Message
		if c.CanLogIn() {
			message += ". The other credentials work"
		}
		return []condition{
			accepted,
			conditions.False(v1alpha1.ConditionResolvedRefs, p.Reason, p.Message),
			conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonUnresolvedRefs, message),
			valid,
		}
	}
	return []condition{
		accepted,
		conditions.True(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, "All keys and Secrets are usable"),
		s.userReady(d, c),
		valid,
	}
}

func (s *scope) userReady(d attach.Decision, c credentials.Credentials) condition {
	uid := d.User.UID
	if s.acks.Rejected[string(uid)] {
		message := "A pod of the listener cannot use this user's record; its log says why. Mostly its image is older than the operator"
		if s.listener.Spec.Infrastructure.Rollout == v1alpha1.RolloutPaused {
			message += "; the listener's roll-outs are paused"
		}
		return conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonUserRejected, message)
	}
	if err := s.invalid[uid]; err != nil {
		return conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonUserRejected, fmt.Sprintf("The user cannot be configured: %v", err))
	}
	record := s.records[uid]
	if record != "" && s.memory.acknowledged[uid] == record {
		if v := s.unmountedOf(d.User); v != "" {
			return conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonVolumeNotMounted,
				fmt.Sprintf("A pod of the listener is older than its volume %q and does not have it: %s", v, s.rolledOut.Message))
		}
		if locked(c, s.keys[uid]) {
			return conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonNoValidKey, "Too few keys of the user are valid now, see the condition KeysValid; give it a new one")
		}
		return conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "The user can log in")
	}
	message := s.programmed.Message
	if s.resolved.Status != metav1.ConditionTrue && len(s.memory.hostKeys) == 0 {
		message = "the listener has no host key yet"
	}
	return conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonConfigPending,
		fmt.Sprintf("The listener's pods have not loaded this user yet: %s", message))
}

// address is where users are told to connect.
func (s *scope) address() string {
	if len(s.listener.Status.Addresses) == 0 {
		return ""
	}
	a := s.listener.Status.Addresses[0]
	return net.JoinHostPort(a.Value, strconv.Itoa(int(a.Port)))
}
