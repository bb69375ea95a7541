package poll

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// listener is what is known about a listener.
type listener struct {
	target Target
	// set is when the target's digest was set, and turn counts its digests.
	set  time.Time
	turn int
	// pods are the pods at the last pass.
	pods map[types.UID]*pod
	// reports are the reports not merged yet, at most one of each process; news are those for
	// which the reconciler was not woken.
	reports []Report
	news    bool
	// result is the last published one, nil before.
	result *ack.Result
	// held is the time since which there has been a different unpublished one, zero if there is none.
	held time.Time
	// ready is the number of ready pods at the last pass. began and completed are those of the
	// result.
	ready            int
	began, completed time.Time
}

// pod is what is known about a pod.
type pod struct {
	// inProgress is set while a request is in progress.
	inProgress bool
	// asked is when it was last asked, and in which turn; outcome is the result, nil before
	// the first answer.
	asked   time.Time
	turn    int
	outcome *ack.Outcome
	// behind is the time since which it has not had the configuration that it should have; zero if it has.
	behind time.Time
	// requested is when the refresh of its volume was requested, and for which digest.
	requested    time.Time
	requestedFor string
	// usesAsked is when it was last asked for the use of keys, in which turn, and whether it
	// answered.
	usesAsked time.Time
	usesTurn  int
	usesTold  bool
	// usesMissed is set if the pod could not be asked for the use of keys because it did not answer at all.
	usesMissed bool
	// ending is set once the pod is terminating.
	ending bool
	// merged is the last report that the reconciler has stored, without its uses.
	merged config.KeyUseReport
}

// aim replaces the target.
func (l *listener) aim(t Target, now time.Time) {
	if l.target.Digest != t.Digest {
		l.turn++
		l.set, l.began, l.completed = now, t.Written, time.Time{}
	}
	l.target = t
}

// Asked reports whether a pod may know of logins: it runs, ready or not.
func Asked(p *corev1.Pod) bool {
	return p.Status.PodIP != "" && p.Status.Phase == corev1.PodRunning && (ack.Ready(p) || !p.DeletionTimestamp.IsZero())
}

// due returns the requests to ask now. It forgets deleted pods; their reports stay.
func (l *listener) due(owned []*corev1.Pod, now time.Time) []*request {
	present := make(map[types.UID]*pod, len(owned))
	var out []*request
	l.noteEnding(owned)
	for _, p := range owned {
		is := l.pods[p.UID]
		if is == nil {
			is = &pod{ending: !p.DeletionTimestamp.IsZero()}
		}
		present[p.UID] = is
		if !Asked(p) {
			is.outcome, is.turn = nil, 0 // once ready again, it is asked at once
			continue
		}
		untilUses := l.untilUses(p, is, now)
		if is.inProgress || l.untilStatus(p, is, now) > 0 && untilUses > 0 {
			continue
		}
		is.inProgress = true
		out = append(out, &request{pod: p, of: is, turn: l.turn, uses: untilUses <= slack, after: is.merged})
	}
	l.pods = present
	// Those that did not answer may take all the time available, so the others come first.
	slices.SortStableFunc(out, func(a, b *request) int { return failures(a) - failures(b) })
	return out
}

// noteEnding makes all pods be asked again soon when one begins to terminate: clients move to the others, and their use of
// keys there is reported along with that here.
func (l *listener) noteEnding(owned []*corev1.Pod) {
	began := false
	for _, p := range owned {
		if is := l.pods[p.UID]; is != nil && !is.ending && !p.DeletionTimestamp.IsZero() {
			is.ending, began = true, true
		}
	}
	if began {
		l.turn++
	}
}

func failures(q *request) int {
	if o := q.of.outcome; o != nil && o.Err != nil {
		return 1
	}
	return 0
}

// note records an answer. The position at a pod stays until its news is merged, so the pod
// repeats it until then.
func (l *listener) note(q *request, a answer, now time.Time) {
	is := q.of
	is.inProgress = false
	is.asked, is.turn, is.outcome = now, q.turn, &a.Outcome
	if !q.uses {
		return
	}
	is.usesAsked, is.usesTurn, is.usesTold, is.usesMissed = now, q.turn, a.report != nil, a.Err != nil
	if a.report == nil {
		return
	}
	r := Report{Pod: q.pod.UID, KeyUseReport: *a.report}
	same := func(o Report) bool { return o.Pod == r.Pod && o.Instance == r.Instance }
	if len(r.Uses) > 0 || len(r.HostKeyProofs) > 0 || len(r.Refusals) > 0 {
		l.news = true
		l.reports = append(slices.DeleteFunc(l.reports, same), r)
	} else if !slices.ContainsFunc(l.reports, same) {
		// It has nothing to keep, so the next request can continue after it.
		l.advance(is, r)
	}
}

// advance moves the position at a pod past a report.
func (l *listener) advance(is *pod, r Report) (again bool) {
	is.merged = config.KeyUseReport{Instance: r.Instance, Sequence: r.Sequence}
	if r.More {
		is.usesAsked, is.usesTold = time.Time{}, true
	}
	return r.More
}

// merged moves the positions at the pods past the reports, and keeps later reports. It
// reports whether a pod has more.
func (l *listener) merged(reports []Report) (more bool) {
	for _, m := range reports {
		if is := l.pods[m.Pod]; is != nil && l.advance(is, m) {
			more = true
		}
		l.reports = slices.DeleteFunc(l.reports, func(r Report) bool {
			return r.Pod == m.Pod && r.Instance == m.Instance && r.Sequence <= m.Sequence
		})
	}
	return more
}
