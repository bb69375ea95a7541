package poll

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

const (
	// Interval is how often pods are asked when nothing else happens. What a pod that is
	// killed has not told is lost, so it is short.
	Interval = time.Minute
	// intervalOfEnding is that for pods that are about to end, which still take logins for
	// their readiness delay.
	intervalOfEnding = 2 * time.Second
	// slack is how much sooner a question is asked if another one is asked anyway: the pod is
	// connected to once.
	slack = Interval / 4
	// gap is the least time between two questions to a pod that answers.
	gap = time.Second
)

// Report is what a pod has told of the use of keys.
type Report struct {
	Pod types.UID
	config.KeyUseReport
}

// listener is what is known of one.
type listener struct {
	told Told
	// turn counts what is reason to ask all pods soon.
	turn int
	// looked is when the pods' states were known last.
	looked time.Time
	// pods that there were at the last look.
	pods map[types.UID]*pod
	// reports that nobody has merged yet, at most one of each process.
	reports []Report
}

// pod is what is known of one.
type pod struct {
	// asked is when it was asked last, in which turn, and whether it answered.
	asked    time.Time
	turn     int
	answered bool
	// merged is the last report that is in somebody's keeping, without its uses.
	merged config.KeyUseReport
}

// question to a pod, and its answer.
type question struct {
	pod    *corev1.Pod
	turn   int
	known  config.KeyUseReport
	report config.KeyUseReport
	err    error
}

// Asked says whether a pod may know of logins: it runs, ready or not.
func Asked(p *corev1.Pod) bool {
	return p.Status.PodIP != "" && p.Status.Phase == corev1.PodRunning && (ack.Ready(p) || !p.DeletionTimestamp.IsZero())
}

// due are the questions to ask now, and whether to look at the pods' states, if they are known. It
// forgets pods that are gone; what they told stays.
func (l *listener) due(pods []corev1.Pod, known bool, now time.Time) (questions []*question, look bool) {
	untilLook := remaining(l.looked, Interval, now)
	look = known && untilLook == 0
	early := time.Duration(0)
	if look {
		early = slack
	}
	present := make(map[types.UID]*pod, len(pods))
	for i := range pods {
		is := l.pods[pods[i].UID]
		if is == nil {
			is = &pod{}
		}
		present[pods[i].UID] = is
		if Asked(&pods[i]) && l.waitFor(&pods[i], is, now) <= early {
			is.asked, is.answered = now, false
			questions = append(questions, &question{pod: &pods[i], turn: l.turn, known: is.merged})
		}
	}
	l.pods = present
	look = look || known && len(questions) > 0 && untilLook <= slack
	if look {
		l.looked = now
	}
	return questions, look
}

// note takes the answers, and says whether there is news. The position at a pod stays until
// its news is merged, so it tells them again until then.
func (l *listener) note(questions []*question) (news bool) {
	for _, q := range questions {
		is := l.pods[q.pod.UID]
		is.turn, is.answered = q.turn, q.err == nil
		if q.err != nil || len(q.report.Uses) == 0 && len(q.report.HostKeyProofs) == 0 {
			continue
		}
		news = true
		l.reports = slices.DeleteFunc(l.reports, func(r Report) bool { return r.Pod == q.pod.UID && r.Instance == q.report.Instance })
		l.reports = append(l.reports, Report{Pod: q.pod.UID, KeyUseReport: q.report})
	}
	return news
}

// merged goes on at the pods from where the reports end. What came after them stays.
func (l *listener) merged(reports []Report) {
	for _, m := range reports {
		if is := l.pods[m.Pod]; is != nil {
			is.merged = config.KeyUseReport{Instance: m.Instance, Sequence: m.Sequence}
		}
		l.reports = slices.DeleteFunc(l.reports, func(r Report) bool {
			return r.Pod == m.Pod && r.Instance == m.Instance && r.Sequence <= m.Sequence
		})
	}
}

// wait is how long nothing is due, 0 if nothing will be until the next change.
func (l *listener) wait(pods []corev1.Pod, now time.Time) time.Duration {
	var shortest time.Duration
	sooner := func(d time.Duration) {
		if d = max(d, time.Millisecond); shortest == 0 || d < shortest {
			shortest = d
		}
	}
	for i := range pods {
		if is := l.pods[pods[i].UID]; is != nil && Asked(&pods[i]) {
			sooner(l.waitFor(&pods[i], is, now))
		}
	}
	if l.told.Found != nil {
		sooner(remaining(l.looked, Interval, now))
	}
	return shortest
}

// waitFor is how long a pod need not be asked. One that did not answer is not asked for another
// turn: that costs a second each time.
func (l *listener) waitFor(p *corev1.Pod, is *pod, now time.Time) time.Duration {
	interval := Interval
	switch {
	case is.answered && is.turn != l.turn:
		interval = gap
	case !p.DeletionTimestamp.IsZero():
		interval = intervalOfEnding
	}
	return remaining(is.asked, interval, now)
}

// remaining is what is left of an interval that began at a time, 0 if it is over, or if it
// began in the future, because the clock was set back.
func remaining(began time.Time, interval time.Duration, now time.Time) time.Duration {
	passed := now.Sub(began)
	if passed < 0 || passed >= interval {
		return 0
	}
	return interval - passed
}
