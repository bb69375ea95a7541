package reload

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// pollInterval is how often the directory is checked without an event.
	pollInterval = 10 * time.Second
	// blindInterval is the same where inotify is unavailable, for example because other
	// pods of the node hold all instances (fs.inotify.max_user_instances).
	blindInterval = time.Second
	// settle is how long to wait for further events: replacing ..data causes three, and a
	// copied directory one per file.
	settle = 10 * time.Millisecond
	// firstRetry and lastRetry bound the growing time between attempts to load a
	// configuration whose files are not consistent yet.
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
)

// Run loads the directory and follows its changes until ctx ends. Neither the directory nor
// inotify has to exist: without them it polls.
func (l *Loader) Run(ctx context.Context) {
	w := l.watch()
	defer w.close()
	l.follow(ctx, w)
}

func (l *Loader) follow(ctx context.Context, w *watcher) {
	retry := firstRetry
	for {
		// Watch before loading, or changes in between are missed. Watching again is cheap,
		// and finds a directory that was missing or replaced.
		w.add(l.dir)
		_ = l.Load() // Load reports the error
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

// watcher reports changes in a directory.
type watcher struct {
	fs       *fsnotify.Watcher // nil where there is none
	changed  chan struct{}
	interval time.Duration // how often to check without an event
}

func (l *Loader) watch() *watcher {
	w := &watcher{changed: make(chan struct{}, 1), interval: pollInterval}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		w.interval = blindInterval
		l.log.Warn("cannot watch the configuration directory: changes are only detected by polling",
			"interval", blindInterval.String(), "error", err)
		return w
	}
	w.fs = fs
	go w.forward()
	return w
}

// forward turns events into signals until the watcher is closed. An error, such as an
// overflow of the kernel's queue, counts as an event.
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
		default: // a signal is already pending
		}
	}
}

func (w *watcher) add(dir string) {
	if w.fs != nil {
		_ = w.fs.Add(dir) // a missing directory is what Load reports
	}
}

// settle drains the signals of the next moment.
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
