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
	l.follow(ctx, w)
}

func (l *Loader) follow(ctx context.Context, w *watcher) {
	retry := firstRetry
	for {
		// Watching comes before loading, or what changes in between goes unseen. To
		// watch again is cheap, and finds a directory that was missing or replaced.
		w.add(l.dir)
		_ = l.Load() // which reports an error
		var wait time.Duration
		wait, retry = pause(l.unsettled(), retry, w.interval)
		now := time.Now()
		l.noticeLapse(now)
		l.noticeCertificates(now)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		case <-w.changed:
			w.settle(ctx)
			retry = firstRetry
		}
	}
}

// pause returns how long to wait after a load, and the retry after that one.
func pause(unsettled bool, retry, interval time.Duration) (wait, next time.Duration) {
	if unsettled {
		return retry, min(2*retry, lastRetry)
	}
	return interval, firstRetry
}

// unsettled reports whether the configuration could not be loaded now, but may be soon.
func (l *Loader) unsettled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure.err != nil && !l.failure.final
}

// watcher tells of changes in a directory.
type watcher struct {
	fs       *fsnotify.Watcher // nil where there is none
	changed  chan struct{}
	interval time.Duration // how often to look without being told
}

func (l *Loader) watch() *watcher {
	w := &watcher{changed: make(chan struct{}, 1), interval: pollInterval}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		w.interval = blindInterval
		l.log.Warn("cannot watch the configuration directory, changes are seen by polling alone",
			"interval", blindInterval.String(), "error", err)
		return w
	}
	w.fs = fs
	go w.forward()
	return w
}

// forward turns events into signals until the watcher is closed. An error, such as an
// overflow of the kernel's queue, is as good as an event.
func (w *watcher) forward() {
	for {
		var ok bool
		select {
		case _, ok = <-w.fs.Events:
		case _, ok = <-w.fs.Errors:
		}
		if !ok {
			return
		}
		select {
		case w.changed <- struct{}{}:
		default: // there is a signal already
		}
	}
}

func (w *watcher) add(dir string) {
	if w.fs != nil {
		_ = w.fs.Add(dir) // a missing directory is what Load reports
	}
}

// settle takes the signals of the next moment.
func (w *watcher) settle(ctx context.Context) {
	timer := time.NewTimer(settle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
		case <-timer.C:
			return
		}
	}
}

func (w *watcher) close() {
	if w.fs != nil {
		_ = w.fs.Close()
	}
}
