package poll

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/controllers/ack"
)

// maxHold is how long a result may be held back if targets or pods keep changing.
const maxHold = 5 * time.Second

// publish replaces the result if it changed, and reports whether to wake the listener's
// reconciler. A result from pods that still have time to load the configuration is held
// back: otherwise each change would be reported twice, first as missing.
func (l *listener) publish(owned []*corev1.Pod, now time.Time) (wake bool) {
	wake, l.news = l.news, false
	r := l.summarize(owned, now)
	if l.result != nil && l.result.Same(r) {
		l.result, l.held = &r, time.Time{}
		return wake
	}
	if l.held.IsZero() || l.held.After(now) { // the clock was set back
		l.held = now
	}
	if !l.settled(owned, now) && now.Sub(l.held) < maxHold {
		return wake
	}
	l.result, l.held = &r, time.Time{}
	return true
}

// summarize combines what is known, and records since when pods have been behind.
func (l *listener) summarize(owned []*corev1.Pod, now time.Time) ack.Result {
	t := l.target
	r := ack.Summarize(owned, func(p *corev1.Pod) *ack.Outcome {
		if is := l.pods[p.UID]; is != nil {
			return is.outcome
		}
		return nil
	}, t.Digest, t.Keys, t.Known)
	r.Late = map[string]time.Time{}
	for _, p := range owned {
		is := l.pods[p.UID]
		switch {
		case is == nil || !ack.Ready(p):
		case is.outcome != nil && is.outcome.Acknowledges(t.Digest, t.Keys):
			is.behind = time.Time{}
		default:
			if is.behind.IsZero() || is.behind.After(now) { // the clock was set back
				is.behind = now
			}
			r.Late[p.Name] = is.behind.Truncate(time.Second)
		}
	}
	if l.ready == 0 && r.Ready > 0 && !l.began.IsZero() && l.completed.IsZero() && l.began.Before(now) && l.result != nil {
		l.began = now // before, it took time to become ready
	}
	if r.Done() && l.completed.IsZero() {
		l.completed = now
	}
	l.ready = r.Ready
	r.Began, r.Completed = l.began, l.completed
	return r
}

// settled reports whether no pod still has time to load the configuration.
func (l *listener) settled(owned []*corev1.Pod, now time.Time) bool {
	for _, p := range owned {
		is := l.pods[p.UID]
		if is == nil || !ack.Ready(p) || is.behind.IsZero() {
			continue
		}
		if since := now.Sub(later(is.behind, l.set)); since >= 0 && since < settle {
			return false
		}
	}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
