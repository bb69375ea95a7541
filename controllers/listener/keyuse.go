package listener

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

const (
	// keyUseInterval is how often pods are asked for the use of keys when nothing else
	// happens. What a pod that is killed has not told is lost, so it is short.
	keyUseInterval = time.Minute
	// keyUseOfEnding is that for pods that are about to end, which still take logins for
	// their readiness delay.
	keyUseOfEnding = 2 * time.Second
	// keyUseGap is the least time between two questions to a pod.
	keyUseGap = time.Second
)

// heard is what a pod has told of the use of keys.
type heard struct {
	// next is when to ask again at the earliest.
	next time.Time
	// report without its uses.
	report config.KeyUseReport
}

// learnKeyUse asks the pods which keys were used. Those that are about to end are asked, too,
// as long as they answer. A pod that does not is asked again: nothing rests on it.
func (s *scope) learnKeyUse(ctx context.Context) error {
	token := config.StatusToken(render.PrivateKeys(s.memory.hostKeys))
	if token == "" || s.credentials == nil {
		return nil
	}
	if token != s.memory.tokens[0] {
		s.memory.tokens = [2]string{token, s.memory.tokens[0]}
	}
	pods, err := s.pods(ctx)
	if err != nil {
		return err
	}
	now := s.Now()
	reports := make([]*config.KeyUseReport, len(pods))
	var wg sync.WaitGroup
	present := make(map[types.UID]heard, len(pods))
	for i := range pods {
		pod := &pods[i]
		before := s.memory.heard[pod.UID]
		if !asked(pod) {
			present[pod.UID] = before
			continue
		}
		if wait := before.next.Sub(now); wait > 0 && wait <= keyUseInterval { // it is longer when the clock was set back
			present[pod.UID] = before
			s.retryIn(wait)
			continue
		}
		interval := keyUseInterval
		if !pod.DeletionTimestamp.IsZero() {
			interval = keyUseOfEnding
		}
		s.retryIn(interval)
		// A pod that does not answer costs a second each time.
		present[pod.UID] = heard{next: now.Add(interval), report: before.report}
		wg.Go(func() {
			r, err := s.Asker.KeyUse(ctx, pod, token, before.report)
			if former := s.memory.tokens[1]; err != nil && former != "" && !pod.DeletionTimestamp.IsZero() {
				r, err = s.Asker.KeyUse(ctx, pod, former, before.report)
			}
			if err != nil {
				ctrl.LoggerFrom(ctx).V(1).Info("A pod does not tell the use of keys", "pod", pod.Name, "error", err.Error())
				return
			}
			reports[i] = &r
		})
	}
	wg.Wait()
	for i, r := range reports {
		if r == nil {
			continue
		}
		s.noteKeyUse(r.Uses)
		s.noteProofs(r.HostKeyProofs)
		present[pods[i].UID] = heard{next: now.Add(keyUseGap), report: config.KeyUseReport{Instance: r.Instance, Sequence: r.Sequence}}
	}
	s.memory.heard = present
	return nil
}

// asked says whether a pod may know of logins: it runs, ready or not.
func asked(pod *corev1.Pod) bool {
	return pod.Status.PodIP != "" && pod.Status.Phase == corev1.PodRunning && (ack.Ready(pod) || !pod.DeletionTimestamp.IsZero())
}

// noteKeyUse merges uses. Days never go back: pods tell in any order. What is not a day, or not
// of a user's key, is left out: pods are believed no more than they have to.
func (s *scope) noteKeyUse(uses []config.KeyUse) {
	if len(uses) == 0 {
		return
	}
	known := make(map[types.UID][]v1alpha1.UserKeyStatus, len(s.decisions))
	for _, d := range s.decisions {
		// A key that was removed in the minute after its last login is in the status alone.
		known[d.User.UID] = slices.Concat(s.credentials[d.User.UID].Inventory, d.User.Status.Keys)
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
