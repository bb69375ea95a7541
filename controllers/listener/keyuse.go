package listener

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// learnKeyUse merges what pods have told of the use of keys.
func (s *scope) learnKeyUse() {
	if s.credentials == nil {
		return // a phase failed before users were looked at; nothing is lost
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
}

// setTarget tells the Poller what the pods are to have.
func (s *scope) setTarget() {
	key := config.StatusKey(render.PrivateKeys(s.memory.hostKeys))
	if key == "" || s.credentials == nil {
		return
	}
	if key != s.memory.tokens[0] {
		s.memory.tokens = [2]string{key, s.memory.tokens[0]}
	}
	t := poll.Target{UID: s.listener.UID, Keys: s.memory.tokens, Digest: s.files.Digest, Known: s.known()}
	if s.configured {
		t.Written = s.Now()
	}
	s.Poller.SetTarget(s.name(), t)
}

// known returns what pods are believed of. A key may have been removed in the minute after its
// last login.
func (s *scope) known() ack.Known {
	keys := make(map[string]map[string]bool, len(s.decisions))
	n := 0
	for _, d := range s.decisions {
		mine := map[string]bool{}
		for _, k := range slices.Concat(s.credentials[d.User.UID].Inventory, d.User.Status.Keys, s.memory.resolved[d.User.UID].former) {
			mine[k.Fingerprint] = true
		}
		keys[string(d.User.UID)] = mine
		n += len(mine)
	}
	hostKeys := map[string]bool{}
	for i := range s.listener.Status.HostKeys {
		hostKeys[s.listener.Status.HostKeys[i].Fingerprint] = true
	}
	return ack.Known{
		Keys:    n,
		User:    func(uid string) bool { _, ok := keys[uid]; return ok },
		Key:     func(uid, fingerprint string) bool { return keys[uid][fingerprint] },
		HostKey: func(fingerprint string) bool { return hostKeys[fingerprint] },
	}
}

// keepAsking has the next reconcile come within a minute, as long as there are pods, unless
// this one has done all that it had to: then it comes when something happens, or a pod says
// something else than now.
func (s *scope) keepAsking(ctx context.Context, whole bool) error {
	if s.credentials == nil || whole && s.settled() {
		return nil
	}
	owned, err := s.pods(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(owned, poll.Asked) {
		s.retryIn(poll.Interval)
	}
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
