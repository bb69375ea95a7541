package retention

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

const (
	// tick is how often the runner checks what is due.
	tick = time.Minute
	// busyAgain is how long to wait before trying again a volume that another daemon is working on.
	busyAgain = 10 * time.Minute
	// failedAgain is how long to wait before trying again a volume that failed.
	failedAgain = 10 * time.Minute
)

// Runner visits volumes: each by one goroutine at a time, which no one waits for. It is safe for concurrent use.
type Runner struct {
	volumes func() []Volume
	emit    func(event.Event)
	log     *slog.Logger
	wake    chan struct{}
	// Ahead makes files look older than they are, for tests.
	Ahead time.Duration
	// visit visits one volume. Tests replace it.
	visit func(context.Context, *Volume) (map[string]ruleState, error)

	mu    sync.Mutex
	known map[string]*known // by name; mu protects it and its values
}

// known is what the runner knows about a volume.
type known struct {
	path   string
	digest string // a digest of the work to do there
	busy   bool
	again  time.Time // when to visit it next, by the monotonic clock
	result []config.RetentionStatus
}

// New returns a Runner for the volumes that volumes returns. It emits an event.FileExpired for each file.
func New(volumes func() []Volume, emit func(event.Event), log *slog.Logger) *Runner {
	r := &Runner{volumes: volumes, emit: emit, log: log, wake: make(chan struct{}, 1), known: map[string]*known{}}
	r.visit = r.visitVolume
	return r
}

// Wake triggers a check of what is due. It does not wait.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // a check is already pending
	}
}

// Run visits volumes after a delay, until ctx ends. It does not wait for visits that are still in progress: a volume may hang, and
// otherwise they end soon.
func (r *Runner) Run(ctx context.Context, delay time.Duration) {
	if sleep(ctx, delay) != nil {
		return
	}
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		r.startDue(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-r.wake:
		}
	}
}

// startDue starts the visits that are due.
func (r *Runner) startDue(ctx context.Context) {
	volumes := slices.DeleteFunc(r.volumes(), func(v Volume) bool { return len(v.rules()) == 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, k := range r.known {
		if !slices.ContainsFunc(volumes, func(v Volume) bool { return v.Name == name && v.Path == k.path }) {
			delete(r.known, name)
		}
	}
	for i := range volumes {
		v := &volumes[i]
		k := r.known[v.Name]
		if k == nil {
			k = &known{path: v.Path}
			r.known[v.Name] = k
		}
		wanted := digest([]any{v.rules(), v.Holds, v.Interval})
		if k.busy || k.digest == wanted && time.Now().Before(k.again) {
			continue
		}
		k.busy, k.digest = true, wanted
		go r.attend(ctx, k, v)
	}
}

// attend visits a volume.
func (r *Runner) attend(ctx context.Context, k *known, v *Volume) {
	rules, err := r.visit(ctx, v)
	wait := min(lookEvery, v.Interval)
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, errBusy):
		err, wait = nil, busyAgain
	case err != nil:
		wait = failedAgain
		r.log.Error("retention cannot work on a volume", "volume", v.Name, "path", v.Path, "error", err)
	}
	r.mu.Lock()
	k.busy, k.again = false, time.Now().Add(wait)
	k.result = results(v, rules, err)
	r.mu.Unlock()
	r.Wake() // the configuration may have changed meanwhile
}

// results returns what is shown about a volume. A rule without a result appears only if it cannot run.
func results(v *Volume, rules map[string]ruleState, err error) []config.RetentionStatus {
	var out []config.RetentionStatus
	for _, rule := range v.rules() {
		s := rules[rule.Name].Result
		if s.Rule == "" && err == nil {
			continue
		}
		s.Rule, s.Volume = rule.Name, v.Name
		if err != nil {
			s.Halted, s.Message = config.HaltVolume, problem(err)
		}
		if err != nil && rule.Name == config.StaleUploads {
			s.Halted = "" // no one configured it, and some volumes are writable in users' directories only
		}
		out = append(out, s)
	}
	return out
}

// visitVolume runs what is due on a volume, and returns what is known about its rules.
func (r *Runner) visitVolume(ctx context.Context, v *Volume) (map[string]ruleState, error) {
	p, err := open(v.Path)
	if errors.Is(err, errBusy) {
		return busyState(v), err
	}
	if errors.Is(err, unix.ENOENT) { // a pod that is older than the volume has not mounted it
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer p.close()
	s, err := readState(p.dir, v.Listener)
	if err != nil {
		return nil, err
	}
	visit := &visit{Volume: v, place: p, state: s, ahead: r.Ahead, pace: newPace(), clock: p.clock, emit: func(e event.FileExpired) error {
		r.emit(e)
		return nil
	}}
	if visit.now, err = p.clock(); err != nil {
		return nil, err
	}
	visit.state.Clock, visit.doubt = s.Clock.Next(visit.now)
	err = visit.run(ctx)
	return visit.state.Rules, err
}

// busyState returns the state that another daemon has written to a volume.
func busyState(v *Volume) map[string]ruleState {
	dir, err := openVolume(v.Path)
	if err != nil {
		return nil
	}
	defer unix.Close(dir)
	s, _ := readState(dir, v.Listener) // the other daemon reports what is wrong
	return s.Rules
}

// Status returns the last runs, by volume and rule.
func (r *Runner) Status() []config.RetentionStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []config.RetentionStatus
	for _, k := range r.known {
		out = append(out, k.result...)
	}
	slices.SortFunc(out, func(a, b config.RetentionStatus) int {
		return cmp.Or(strings.Compare(a.Volume, b.Volume), strings.Compare(a.Rule, b.Rule))
	})
	return out
}
