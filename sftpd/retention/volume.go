package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

const (
	// maxRun bounds the time of all runs of one visit to a volume.
	maxRun = 6 * time.Hour
	// clockEvery is how often a run reads the clocks while it deletes.
	clockEvery = 2 * time.Second
)

// Volume is a volume and the work to do there.
type Volume struct {
	// Name of the volume, and Path of its directory. Listener is namespace/name of the listener.
	Name, Path, Listener string
	// Leftovers is set if leftovers of uploads are deleted, because users may write to the volume.
	Leftovers bool
	// Rules and held paths of this volume.
	Rules []config.RetentionRule
	Holds []string
	// Interval between two runs of a rule, and StaleUploads, the age at which leftovers are deleted.
	Interval, StaleUploads time.Duration
	// Directories returns those that a rule applies to.
	Directories func(config.RetentionRule) []Directory
	// OpenByUser reports whether a directory must stay even if it is empty, because a user has it open.
	OpenByUser func(path string) bool
}

// rules returns the rules, the built-in one first.
func (v *Volume) rules() []config.RetentionRule {
	if !v.Leftovers {
		return v.Rules
	}
	builtIn := config.RetentionRule{
		Name:               config.StaleUploads,
		RetentionDirectory: config.RetentionDirectory{Volume: v.Name, Scope: config.RetentionOfVolume},
		DeleteAfterSeconds: int64(v.StaleUploads / time.Second), Mode: config.RetentionEnforce,
		// Leftovers are of no use to anyone, so only their number is bounded.
		MaxFiles: maxEntries, MaxPercent: 100, //nolint:mnd // all
	}
	return append([]config.RetentionRule{builtIn}, v.Rules...)
}

// visit is a visit to a volume.
type visit struct {
	*Volume
	place *place
	state state
	doubt Doubt
	now   Reading
	ahead time.Duration // see Runner
	// pace of all runs.
	pace *pace
	emit func(event.FileExpired) error
	// clock reads the clocks, for tests.
	clock func() (Reading, error)
}

// due returns the rules that are due.
func (v *visit) due() []config.RetentionRule {
	return slices.DeleteFunc(v.rules(), func(r config.RetentionRule) bool {
		was, known := v.state.Rules[r.Name]
		_, whole := digests(r)
		since := v.now.Volume.Sub(was.Result.LastRun)
		return known && was.Rule == whole && since >= 0 && since < v.Interval
	})
}

// run runs the rules that are due, and keeps the results in the state.
func (v *visit) run(ctx context.Context) error {
	rules := v.rules()
	for name := range v.state.Rules {
		if !slices.ContainsFunc(rules, func(r config.RetentionRule) bool { return r.Name == name }) {
			delete(v.state.Rules, name)
		}
	}
	// What was learned about the clock must survive this daemon.
	if err := v.place.write(v.Listener, v.state); err != nil {
		return err
	}
	due := v.due()
	if len(due) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxRun, errTooLong)
	defer cancel()
	h, err := resolve(v.place.dir, v.Holds)
	if err != nil {
		return err
	}
	for _, rule := range due {
		result, err := v.apply(ctx, rule, &h)
		if err != nil {
			return err
		}
		selection, whole := digests(rule)
		v.state.Rules[rule.Name] = ruleState{Selection: selection, Rule: whole, Result: result}
		if err := v.place.write(v.Listener, v.state); err != nil {
			return err
		}
	}
	return nil
}

// errTooLong ends a visit that takes too long.
var errTooLong = errors.New("the volume takes longer than " + maxRun.String())

// apply runs one rule.
func (v *visit) apply(ctx context.Context, rule config.RetentionRule, h *holds) (config.RetentionStatus, error) {
	selection, _ := digests(rule)
	was, known := v.state.Rules[rule.Name]
	c := Circumstances{Doubt: v.doubt, New: !known || was.Selection != selection}
	if h.missing != "" {
		c.Halt, c.Detail = config.HaltHold, "a held directory does not exist, so its namespace's directory is held"
	}
	r := &run{
		rule: rule, volume: v.place.dir, now: v.now.Volume.Add(v.ahead), trust: v.state.Clock, holds: h, pace: v.pace,
		leftovers: rule.Name == config.StaleUploads, openByUser: v.OpenByUser, steady: v.steady(),
		found: func(e event.FileExpired) error {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			e.Volume = v.Name
			return v.emit(e)
		},
	}
	status := config.RetentionStatus{Rule: rule.Name, Volume: v.Name}
	counted, err := r.countAll(ctx, v.Directories(rule))
	for _, d := range counted {
		d.addTo(&status)
	}
	if err == nil {
		plan := Decide(rule, counted, c)
		status.Halted, status.Message = plan.Halt, clip(plan.Message)
		for _, b := range plan.Delete {
			if err = r.delete(ctx, b); err != nil {
				break
			}
		}
	}
	if err := r.tell(&status, err); err != nil {
		return status, err
	}
	status.LastRun = v.now.Volume.Truncate(time.Second)
	return status, nil
}

// tell records in a status what the run did, and how it ended. It returns err if that must not be shown.
func (r *run) tell(status *config.RetentionStatus, err error) error {
	status.Deleted, status.InUse, status.Failed = r.deleted, r.inUse, r.failed
	if r.lastErr != nil && status.Message == "" {
		status.Message = clip(r.lastErr.Error())
	}
	if err == nil {
		return nil
	}
	if status.Halted, status.Message = halt(err), clip(err.Error()); status.Halted == "" {
		return err
	}
	return nil
}

// halt returns how an error that ended a run is shown, or "" if the daemon was shutting down.
func halt(err error) config.RetentionHalt {
	switch {
	case errors.Is(err, errTooLong):
		return config.HaltIncomplete
	case errors.Is(err, context.Canceled):
		return ""
	case errors.Is(err, errClock):
		return config.HaltClock
	}
	return config.HaltVolume
}

func (r *run) countAll(ctx context.Context, directories []Directory) (all []*Counted, err error) {
	for _, d := range directories {
		c, err := r.count(ctx, d)
		if err != nil {
			return all, err
		}
		if c.Files > 0 || c.Skipped > 0 || c.TooLarge || r.rule.EmptyDirectories {
			all = append(all, c)
		}
	}
	return all, nil
}

// errClock ends a run during which a clock was set.
var errClock = errors.New("a clock was set during the run")

// steady returns a function that occasionally compares the clocks with those at the beginning.
func (v *visit) steady() func() error {
	var last time.Duration
	return func() error {
		if now := sinceBoot(); last != 0 && now-last < clockEvery {
			return nil
		}
		now, err := v.clock()
		if err != nil {
			return err
		}
		last = sinceBoot()
		passed := now.Since - v.now.Since
		if abs(now.Volume.Sub(v.now.Volume)-passed) > tolerance || abs(now.Wall.Sub(v.now.Wall)-passed) > tolerance {
			return fmt.Errorf("%w by more than %s", errClock, tolerance)
		}
		return nil
	}
}

// problem returns how to show an error that kept the daemon from working on a volume, without paths of the pod.
func problem(err error) string {
	if errno, ok := errors.AsType[unix.Errno](err); ok && !errors.Is(err, errNoLocks) {
		return "the volume's directory: " + errno.Error()
	}
	if errors.Is(err, errNoLocks) {
		return errNoLocks.Error()
	}
	return clip(strings.TrimSpace(err.Error()))
}
