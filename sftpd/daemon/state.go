package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Status implements health.State.
func (d *Daemon) Status() config.Status {
	st := d.loader.Status()
	st.Version = d.Version
	st.Draining = d.draining.Load()
	st.Sessions = new(d.server.Sessions())
	st.Volumes, st.Retention, st.Receipts = d.writable.Status(), d.retained.Status(), d.outbox.Receipts()
	return st
}

// Pod implements health.State.
func (d *Daemon) Pod() string { return d.Options.Pod }

// StatusKey implements health.State.
func (d *Daemon) StatusKey() string {
	if s := d.loader.Current(); s != nil {
		return s.StatusKey
	}
	return ""
}

// eventsKey returns the key for requests for events, nil if there is none.
func (d *Daemon) eventsKey() []byte {
	if s := d.loader.Current(); s != nil {
		return s.EventsKey
	}
	return nil
}

// KeyUse implements health.State.
func (d *Daemon) KeyUse(q config.KeyUseQuestion) config.KeyUseReport {
	return d.keyUse.Since(q.Instance, q.Sequence, q.Limit)
}

// Ready implements health.State.
func (d *Daemon) Ready(ctx context.Context) error {
	if d.draining.Load() {
		return errors.New("shutting down")
	}
	if d.audit.Blocked() > 0 {
		return errors.New("standard output does not accept the audit log")
	}
	s := d.loader.Current()
	if s == nil {
		return errors.New("no configuration has been loaded yet")
	}
	there := 0
	for _, v := range s.Listener.Volumes {
		err := d.volumes.check(ctx, v)
		switch {
		case err == nil:
			there++
		case errors.Is(err, fs.ErrNotExist) && !d.volumes.seen(v.Path):
			// A pod that is older than the volume does not mount it, and serves the others.
		default:
			d.Log.Error("volume is not accessible", "volume", v.Name, "path", v.Path, "error", err)
			return fmt.Errorf("volume %s is not accessible", v.Name)
		}
	}
	if there == 0 {
		return errors.New("no volume is available")
	}
	return nil
}

// volumeTime is how long a volume may take to respond. Kubernetes' probes wait a second by
// default.
const volumeTime = 800 * time.Millisecond

var errVolumeSlow = errors.New("no answer within " + volumeTime.String())

// volumes checks the volumes' directories, each with one goroutine at a time: a network
// volume whose server is down blocks that goroutine forever.
type volumes struct {
	mu      sync.Mutex
	pending map[string]chan error
	// was contains the paths that have existed before.
	was map[string]bool
}

// seen reports whether a path has existed before.
func (v *volumes) seen(path string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.was[path]
}

func (v *volumes) check(ctx context.Context, volume config.Volume) error {
	answer := v.ask(volume.Path)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(volumeTime):
		return errVolumeSlow
	case err := <-answer:
		answer <- err // for other callers that wait
		return err
	}
}

func (v *volumes) ask(path string) chan error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c, ok := v.pending[path]; ok {
		return c
	}
	if v.pending == nil {
		v.pending, v.was = map[string]chan error{}, map[string]bool{}
	}
	c := make(chan error, 1)
	v.pending[path] = c
	go func() {
		err := accessible(path)
		v.mu.Lock()
		delete(v.pending, path)
		if err == nil {
			v.was[path] = true
		}
		v.mu.Unlock()
		c <- err
	}()
	return c
}

// accessible opens the directory, because stat does not detect a missing permission.
func accessible(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return errors.New("not a directory")
	}
	return nil
}
