// Package volumecheck checks that volumes are writable before a client finds out: at startup, with each new configuration, and
// once a minute.
package volumecheck

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
	// interval is the time between two checks of a volume.
	interval = time.Minute
	// timeout is how long a volume may take to respond.
	timeout = 10 * time.Second
)

// Volume is a volume to check.
type Volume struct {
	Name, Path string
	// SubPaths are some of the directories that users have on it.
	SubPaths []string
}

// Checker checks volumes.
type Checker struct {
	volumes func() []Volume
	log     *slog.Logger
	wake    chan struct{}
	check   func(path string, subPaths []string) error

	mu sync.Mutex
	// states by volume; mu guards them.
	states map[string]*state
}

// state of a volume. At most one goroutine checks it: if the server of a network volume is
// away, that goroutine hangs until it returns.
type state struct {
	path    string
	problem config.VolumeProblem
	known   bool // the volume has responded
	busy    bool
	asked   time.Time // while busy
}

// New returns a Checker for the volumes that volumes returns.
func New(volumes func() []Volume, log *slog.Logger) *Checker {
	return &Checker{volumes: volumes, log: log, wake: make(chan struct{}, 1), check: vfs.CheckWritable, states: map[string]*state{}}
}

// Wake triggers a check now.
func (c *Checker) Wake() {
	select {
	case c.wake <- struct{}{}:
	default: // a check is already pending
	}
}

// Run checks the volumes until ctx ends.
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
		c.log.Info("volume is writable again", "volume", v.Name)
	default:
		c.log.Error("volume is not writable", "volume", v.Name, "path", v.Path, "problem", string(problem), "error", err)
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

// Status of the volumes, by name; nil before each has responded once or timed out.
func (c *Checker) Status() []config.VolumeStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []config.VolumeStatus
	for name, s := range c.states {
		problem := s.problem
		switch {
		case s.busy && time.Since(s.asked) > timeout:
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
