package reload

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// pollInterval is how often the directory is looked at without an event.
	pollInterval = 10 * time.Second
	// blindInterval is the same where inotify is not to be had, as when other pods
	// of the node hold all instances (fs.inotify.max_user_instances).
	blindInterval = time.Second
	// settle is how long further events are waited for: replacing ..data makes
	// three, and a copied directory one a file.
	settle = 10 * time.Millisecond
	// firstRetry and lastRetry bound the growing time between attempts at a
	// configuration whose files do not belong together yet.
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
)

// Run loads the directory and follows its changes until ctx ends. It needs neither the
// directory nor inotify to exist: it polls then.
func (l *Loader) Run(ctx context.Context) {
	w := l.watch()
	defer w.close()
	retry := firstRetry
	for {
		// Watching comes before loading, or what changes in between goes unseen. To
		// watch again is cheap, and finds a directory that was missing or replaced.
		w.add(l.dir)
		wait := w.interval()
		if err := l.Load(); err != nil && !l.isFinal() {
			wait = retry
			retry = min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		case <-w.events():
			if !w.settle(ctx) {
				return
			}
			retry = firstRetry
		case <-w.errors(): // such as an overflow of its queue: as good as an event
		}
	}
}

func (l *Loader) isFinal() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure.final
}

// watcher is fsnotify's, or nil where there is none.
type watcher struct{ *fsnotify.Watcher }

func (l *Loader) watch() watcher {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		l.log.Warn("cannot watch the configuration directory, changes are seen by polling alone",
			"interval", blindInterval.String(), "error", err)
		return watcher{}
	}
	return watcher{w}
}

func (w watcher) add(dir string) {
	if w.Watcher != nil {
		_ = w.Add(dir) // a missing directory is what Load reports
	}
}

func (w watcher) events() <-chan fsnotify.Event {
	if w.Watcher == nil {
		return nil
	}
	return w.Events
}

func (w watcher) errors() <-chan error {
	if w.Watcher == nil {
		return nil
	}
	return w.Errors
}

func (w watcher) interval() time.Duration {
	if w.Watcher == nil {
		return blindInterval
	}
	return pollInterval
}

// settle takes the events of the next moment, and says whether ctx lives.
func (w watcher) settle(ctx context.Context) bool {
	timer := time.NewTimer(settle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-w.Events:
		case <-w.Errors:
		case <-timer.C:
			return true
		}
	}
}

func (w watcher) close() {
	if w.Watcher != nil {
		_ = w.Close()
	}
}
