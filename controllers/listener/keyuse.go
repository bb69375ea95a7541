package listener

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// learnKeyUse merges what pods have told of the use of keys, and says whether they had.
func (s *scope) learnKeyUse() bool {
	if s.credentials == nil {
		return false // a phase failed before users were looked at; nothing is lost
	}
	reports := s.Poller.Reports(s.name(), s.listener.UID)
	var uses []config.KeyUse
	var proofs []config.HostKeyProof
	for _, r := range reports {
		uses, proofs = append(uses, r.Uses...), append(proofs, r.HostKeyProofs...)
	}
	s.noteKeyUse(uses)
	s.noteProofs(proofs)
	s.Poller.Merged(s.name(), s.listener.UID, reports)
	return len(reports) > 0
}

// tellPoller has the pods asked from now on. whole says that this reconcile has done all that it
// had to. Then the next one comes when something happens, or a pod says something else than now;
// else it comes within a minute, as long as there are pods.
func (s *scope) tellPoller(ctx context.Context, merged, whole bool) error {
	token := config.StatusToken(render.PrivateKeys(s.memory.hostKeys))
	if token == "" || s.credentials == nil {
		return nil
	}
	if token != s.memory.tokens[0] {
		s.memory.tokens = [2]string{token, s.memory.tokens[0]}
	}
	t := poll.Told{
		UID: s.listener.UID, Pods: client.MatchingLabels(render.Selector(s.listener)), Tokens: s.memory.tokens,
		Digest: s.files.Digest, Later: merged,
	}
	if whole && s.settled() {
		t.Found = new(s.acks)
	} else {
		pods, err := s.pods(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(pods, func(p corev1.Pod) bool { return poll.Asked(&p) }) {
			s.retryIn(poll.Interval)
		}
	}
	s.Poller.Tell(s.name(), t)
	return nil
}

// settled says whether the listener is as it is meant to be.
func (s *scope) settled() bool {
	for _, c := range []condition{s.accepted, s.resolved, s.programmed} {
		if c.Status != metav1.ConditionTrue {
			return false
		}
	}
	// The number of sessions that a roll-out would disturb changes without a sign.
	return s.acked && s.pending == nil
}

// noteKeyUse merges uses. Days never go back: pods tell in any order. What is not a day, or not
// of a user's key, is left out: pods are believed no more than they have to.
func (s *scope) noteKeyUse(uses []config.KeyUse) {
	if len(uses) == 0 {
		return
	}
	known := make(map[types.UID][]v1alpha1.UserKeyStatus, len(s.decisions))
	for _, d := range s.decisions {
		// A key may have been removed in the minute after its last login.
		known[d.User.UID] = slices.Concat(s.credentials[d.User.UID].Inventory, d.User.Status.Keys, s.memory.resolved[d.User.UID].former)
	}
	latest := s.Now().Add(day).UTC().Format(time.DateOnly) // clocks differ
	for _, u := range uses {
		uid := types.UID(u.UID)
		if _, err := time.Parse(time.DateOnly, u.Day); err != nil || u.Day > latest ||
			!slices.ContainsFunc(known[uid], func(k v1alpha1.UserKeyStatus) bool { return k.Fingerprint == u.Fingerprint }) {
			continue
		}
		if s.memory.lastUsed[uid] == nil {
			s.memory.lastUsed[uid] = map[string]string{}
		}
		s.memory.lastUsed[uid][u.Fingerprint] = max(s.memory.lastUsed[uid][u.Fingerprint], u.Day) // as texts they compare like days
	}
	for uid := range s.memory.lastUsed {
		if _, mine := known[uid]; !mine {
			delete(s.memory.lastUsed, uid)
		}
	}
}

// noteProofs remembers which users have learned which host keys. Of other users and keys a pod
// is not believed anything.
func (s *scope) noteProofs(proofs []config.HostKeyProof) {
	mine := make(map[types.UID]bool, len(s.decisions))
	for _, d := range s.decisions {
		mine[d.User.UID] = true
	}
	ours := map[string]bool{}
	for i := range s.listener.Status.HostKeys {
		ours[s.listener.Status.HostKeys[i].Fingerprint] = true
	}
	for _, p := range proofs {
		uid := types.UID(p.UID)
		if !mine[uid] || !ours[p.Fingerprint] {
			continue
		}
		if s.memory.proved[uid] == nil {
			s.memory.proved[uid] = map[string]bool{}
		}
		s.memory.proved[uid][p.Fingerprint] = true
	}
	for uid, keys := range s.memory.proved {
		if !mine[uid] {
			delete(s.memory.proved, uid)
			continue
		}
		for k := range keys {
			if !ours[k] {
				delete(keys, k)
			}
		}
	}
}
