// Package preflight finds out whether volumes can be written before a client does: at the
// start, with each new configuration, and once a minute.
package preflight

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

const (
	// interval is the time between two looks at a volume.
	interval = time.Minute
	// patience is how long a volume may take to answer.
	patience = 10 * time.Second
)

// Volume is one to look at.
type Volume struct {
	Name, Path string
	// SubPaths are some of the directories that users have on it.
	SubPaths []string
}

// Checker looks at volumes.
type Checker struct {
	volumes func() []Volume
	log     *slog.Logger
	wake    chan struct{}
	check   func(path string, subPaths []string) error

	mu sync.Mutex
	// states by volume; mu protects them.
	states map[string]*state
}

// state of a volume. At most one goroutine looks at it: where the server of a network volume
// is away, that goroutine hangs for as long.
type state struct {
	path    string
	problem config.VolumeProblem
	known   bool // there was an answer
	busy    bool
	asked   time.Time // while busy
}

// New returns a Checker of the volumes that a function tells.
func New(volumes func() []Volume, log *slog.Logger) *Checker {
	return &Checker{volumes: volumes, log: log, wake: make(chan struct{}, 1), check: vfs.CheckWritable, states: map[string]*state{}}
}

// Wake makes it look now.
func (c *Checker) Wake() {
	select {
	case c.wake <- struct{}{}:
	default: // it is about to
	}
}

// Run looks at the volumes until ctx ends.
func (c *Checker) Run(ctx context.Context) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		c.look()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-c.wake:
		}
	}
}

func (c *Checker) look() {
	volumes := c.volumes()
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, s := range c.states {
		if !slices.ContainsFunc(volumes, func(v Volume) bool { return v.Name == name && v.Path == s.path }) {
			delete(c.states, name)
		}
	}
	for _, v := range volumes {
		s := c.states[v.Name]
		if s == nil {
			s = &state{path: v.Path}
			c.states[v.Name] = s
		}
		if s.busy {
			continue
		}
		s.busy, s.asked = true, time.Now()
		go c.ask(s, v)
	}
}

func (c *Checker) ask(s *state, v Volume) {
	err := c.check(v.Path, v.SubPaths)
	problem := problemOf(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case problem == s.problem:
	case problem == "":
		c.log.Info("volume can be written again", "volume", v.Name)
	default:
		c.log.Error("volume cannot be written", "volume", v.Name, "path", v.Path, "problem", string(problem), "error", err)
	}
	s.problem, s.known, s.busy = problem, true, false
}

func problemOf(err error) config.VolumeProblem {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, unix.EROFS):
		return config.VolumeReadOnly
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return config.VolumeFull
	case errors.Is(err, fs.ErrPermission):
		return config.VolumePermissionDenied
	case errors.Is(err, fs.ErrNotExist):
		return config.VolumeNotMounted
	}
	return config.VolumeFailed
}

// Status of the volumes, by name; nil before all have answered once, or taken too long.
func (c *Checker) Status() []config.VolumeStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []config.VolumeStatus
	for name, s := range c.states {
		problem := s.problem
		switch {
		case s.busy && time.Since(s.asked) > patience:
			problem = config.VolumeSilent
		case !s.known:
			return nil
		}
		out = append(out, config.VolumeStatus{Name: name, Problem: problem, UID: os.Geteuid()})
	}
	slices.SortFunc(out, func(a, b config.VolumeStatus) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}
