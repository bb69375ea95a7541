package poll

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
)

const (
	// Interval is how often pods are asked when nothing else happens. Anything that a
	// killed pod has not reported is lost, so it is short.
	Interval = time.Minute
	// intervalOfEnding is the interval for terminating pods, which still accept logins
	// during their readiness delay.
	intervalOfEnding = 2 * time.Second
	// slack is how much sooner to ask for the use of keys if a pod is asked anyway: one
	// connection serves both.
	slack = Interval / 4
	// gap is the minimum time between requests about the use of keys to a pod that answers.
	gap = time.Second
	// urgentInterval is the time between requests to a pod that has not loaded a new configuration.
	// A pod usually needs 200 to 400 ms.
	urgentInterval = 50 * time.Millisecond
	// settle is how long that lasts; then the pod is late.
	settle = 2 * time.Second
	// maxRetry bounds the time between requests to a late pod.
	maxRetry = 10 * time.Second
	// grace is how long the access controller has to request a refresh of volumes before
	// the Poller does.
	grace = 300 * time.Millisecond
)

// wait returns the time until something is due.
func (l *listener) wait(owned []*corev1.Pod, now time.Time) time.Duration {
	shortest := Interval
	for _, p := range owned {
		is := l.pods[p.UID]
		if is == nil || !Asked(p) || is.inProgress {
			continue
		}
		shortest = min(shortest, l.untilStatus(p, is, now), l.untilUses(p, is, now))
	}
	if !l.held.IsZero() {
		shortest = min(shortest, remaining(l.held, settle, now))
	}
	return max(shortest, 10*time.Millisecond)
}

// untilStatus returns the time until a pod has to be asked what it has loaded.
func (l *listener) untilStatus(p *corev1.Pod, is *pod, now time.Time) time.Duration {
	switch {
	case !ack.Ready(p):
		return Interval // only its use of keys matters
	case is.turn != l.turn:
		return 0
	case !is.behind.IsZero():
		return remaining(is.asked, l.retry(is, now), now)
	}
	return remaining(is.asked, Interval, now)
}

// retry returns the time between requests to a pod that has not loaded the configuration. A
// pod that answers is asked more often again after each new configuration; one that does not
// costs a second each time.
func (l *listener) retry(is *pod, now time.Time) time.Duration {
	age := now.Sub(is.behind)
	if is.outcome != nil && is.outcome.Err == nil {
		age = min(age, now.Sub(l.set))
	}
	if age < settle {
		return urgentInterval
	}
	return min(age/2, maxRetry)
}

// untilUses returns the time until a pod has to be asked for the use of keys.
func (l *listener) untilUses(p *corev1.Pod, is *pod, now time.Time) time.Duration {
	interval := Interval
	switch {
	case is.usesTold && is.usesTurn != l.turn, is.usesMissed && is.outcome != nil && is.outcome.Err == nil:
		interval = gap
	case !p.DeletionTimestamp.IsZero():
		interval = intervalOfEnding
	}
	return remaining(is.usesAsked, interval, now)
}

// syncs returns the pods whose volumes should be refreshed now, and the time until the next
// one: ready pods that have not acknowledged, and other running pods for which it was not
// requested yet, because they may need only this configuration to become ready.
func (l *listener) syncs(owned []*corev1.Pod, now time.Time) (out []*corev1.Pod, next time.Duration) {
	next = Interval
	for _, p := range owned {
		is := l.pods[p.UID]
		if is == nil || !ack.Running(p) {
			continue
		}
		ready := ack.Ready(p)
		if ready && (is.outcome == nil || is.outcome.Acknowledges(l.target.Digest, l.target.Keys)) {
			continue
		}
		told := is.requestedFor == l.target.Digest || p.Annotations[v1alpha1.AnnotationConfigDigest] == l.target.Digest
		var until time.Duration
		switch {
		case !told:
			until = remaining(l.set, grace, now)
		case !ready:
			continue
		default:
			until = remaining(l.requested(p, is, now), max(ack.SyncAgain, l.retry(is, now)), now)
		}
		if until > 0 {
			next = min(next, until)
			continue
		}
		is.requested, is.requestedFor = now, l.target.Digest
		out = append(out, p)
	}
	return out, max(next, 10*time.Millisecond)
}

// requested returns when the refresh of a pod's volume was last requested, by any process.
func (l *listener) requested(p *corev1.Pod, is *pod, now time.Time) time.Time {
	last := time.Time{}
	if is.requestedFor == l.target.Digest {
		last = is.requested
	}
	at, err := time.Parse(time.RFC3339Nano, p.Annotations[v1alpha1.AnnotationSyncRequested])
	if err == nil && at.After(last) && !at.After(now) {
		last = at
	}
	return last
}

// remaining returns what is left of an interval that began at a time, 0 if it is over, or
// if it began in the future because the clock was set back.
func remaining(began time.Time, interval time.Duration, now time.Time) time.Duration {
	passed := now.Sub(began)
	if passed < 0 || passed >= interval {
		return 0
	}
	return interval - passed
}
