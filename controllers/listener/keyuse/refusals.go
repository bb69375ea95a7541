package keyuse

import (
	"cmp"
	"math"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

const (
	// Anyone who can reach the port and guesses login names causes refusals. So the status of a user is written for them
	// at most once a minute, less often while they continue, and the statuses of all of a listener's users together at
	// most releasesPerMinute times a minute.
	shortestInterval  = time.Minute
	longestInterval   = time.Hour
	releasesPerMinute = 30
	// quiet is how long a user must have had no refused login for the next one to start a new count, as in the daemon.
	quiet = day
	// maxProcesses bounds the daemons whose counts are kept apart. The counts of others are kept as one.
	maxProcesses = 32
	// maxCount is where counting ends: higher counts from pods are not believed.
	maxCount = math.MaxInt32
)

// refused are the refused logins of a user.
type refused struct {
	// processes are the counts of daemons, by the names of their processes.
	processes map[string]config.LoginRefusals
	// news is set while there is something that the status does not have.
	news bool
	// released is what the status may have, nil before. at is when, and the next release is interval later at the earliest.
	released *v1alpha1.LoginRefusal
	at       time.Time
	interval time.Duration
}

// releases bounds the releases for all users of a listener.
type releases struct {
	since time.Time
	count int
}

// NoteRefusals merges the report of a daemon's process. A report has totals, so merging it again changes nothing. status returns
// the refusal in the status of a user, and whether it is a user of the listener.
func (t *Tracker) NoteRefusals(process string, list []config.LoginRefusals, status func(types.UID) (*v1alpha1.LoginRefusal, bool), now time.Time) {
	for _, e := range list {
		uid := types.UID(e.UID)
		in, ok := status(uid)
		if !ok || process == "" || e.Last.After(now.Add(day)) { // clocks differ
			continue
		}
		r := t.refused[uid]
		if r == nil {
			if t.refused == nil {
				t.refused = map[types.UID]*refused{}
			}
			r = &refused{processes: map[string]config.LoginRefusals{}}
			t.refused[uid] = r
		}
		e.Count = min(e.Count, maxCount)
		r.processes[process] = e
		r.bound()
		r.news = !sameRefusal(r.total(in), cmp.Or(r.released, in))
	}
}

// bound merges the oldest count with the rest if there are too many. It is called for each one that is added.
func (r *refused) bound() {
	const rest = "" // no process has this name
	if len(r.processes) <= maxProcesses {
		return
	}
	var oldest string
	for name, e := range r.processes {
		if name != rest && (oldest == "" || e.Last.Before(r.processes[oldest].Last)) {
			oldest = name
		}
	}
	e := r.processes[oldest]
	delete(r.processes, oldest)
	r.processes[rest] = merge(e, r.processes[rest])
}

// merge adds two counts. The result has the reason of the later one; if they are too far apart, it is the later one.
func merge(a, b config.LoginRefusals) config.LoginRefusals {
	if b.Last.After(a.Last) {
		a, b = b, a
	}
	if b.Count == 0 || a.Since.Sub(b.Last) > quiet {
		return a
	}
	a.Count = min(a.Count+b.Count, maxCount)
	if b.Since.Before(a.Since) {
		a.Since = b.Since
	}
	return a
}

// total returns what the status should show. in is what it has: a count does not decrease when pods are replaced.
func (r *refused) total(in *v1alpha1.LoginRefusal) *v1alpha1.LoginRefusal {
	var all config.LoginRefusals
	for _, e := range r.processes {
		all = merge(all, e)
	}
	if in != nil && in.Time.After(all.Last) {
		return in // of a pod that is gone
	}
	out := &v1alpha1.LoginRefusal{
		Time: metav1.NewTime(all.Last), Reason: all.Reason, Message: event.Reason(all.Reason).Meaning(),
		SourceIP: all.Source, KeyFingerprint: all.Fingerprint, Count: int32(all.Count), Since: metav1.NewTime(all.Since),
	}
	if in != nil && all.Since.Sub(in.Time.Time) <= quiet {
		out.Count = max(out.Count, in.Count)
		if in.Since.Before(&out.Since) {
			out.Since = in.Since
		}
	}
	return out
}

// Waiting reports whether some status lacks news of refusals.
func (t *Tracker) Waiting() bool {
	for _, r := range t.refused {
		if r.news {
			return true
		}
	}
	return false
}

// Release returns the users whose statuses may have news of refusals now, and when others may, zero if there are none. Those
// that have waited longest come first, so that one login name that is tried all the time does not keep others from being
// reported.
func (t *Tracker) Release(status func(types.UID) (*v1alpha1.LoginRefusal, bool), now time.Time) (released map[types.UID]bool, next time.Time) {
	if passed := now.Sub(t.releases.since); passed < 0 || passed >= time.Minute {
		t.releases = releases{since: now}
	}
	var due []types.UID
	for uid, r := range t.refused {
		switch at := r.at.Add(r.interval); {
		case !r.news:
		case !now.Before(at):
			due = append(due, uid)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	slices.SortFunc(due, func(a, b types.UID) int {
		return cmp.Or(t.refused[a].at.Compare(t.refused[b].at), cmp.Compare(a, b))
	})
	released = map[types.UID]bool{}
	for _, uid := range due {
		if t.releases.count >= releasesPerMinute {
			if end := t.releases.since.Add(time.Minute); next.IsZero() || end.Before(next) {
				next = end
			}
			break
		}
		in, ok := status(uid)
		if !ok {
			continue
		}
		t.releases.count++
		t.refused[uid].release(in, now)
		released[uid] = true
	}
	return released, next
}

// release makes the total known. The interval doubles while refusals continue.
func (r *refused) release(in *v1alpha1.LoginRefusal, now time.Time) {
	switch {
	case r.interval > 0 && now.Sub(r.at) < 4*r.interval:
		r.interval = min(2*r.interval, longestInterval)
	default:
		r.interval = shortestInterval
	}
	r.released, r.at, r.news = r.total(cmp.Or(r.released, in)), now, false
}

// LastRefusal returns the refusal that the status of a user should show, nil for none.
func (t *Tracker) LastRefusal(u *v1alpha1.SFTPUser) *v1alpha1.LoginRefusal {
	if r := t.refused[u.UID]; r != nil && r.released != nil {
		return r.released
	}
	return u.Status.LastRefusal
}

func sameRefusal(a, b *v1alpha1.LoginRefusal) bool {
	return a == b || a != nil && b != nil && a.Time.Equal(&b.Time) && a.Since.Equal(&b.Since) && a.Count == b.Count &&
		a.Reason == b.Reason && a.SourceIP == b.SourceIP && a.KeyFingerprint == b.KeyFingerprint
}
