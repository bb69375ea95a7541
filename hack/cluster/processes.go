package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is a component that was started: a record of it is in the state folder until it is stopped.
type process struct {
	Name string
	identity
	exited <-chan struct{} // closed when it ends; nil for one that an earlier run started
}

// program is what to start.
type program struct {
	name string
	path string
	args []string
}

// start starts a component in a session of its own, so that it outlives this command and gets no Ctrl-C, with a small
// environment of its own: proxy settings, for example, would send webhook and kubelet traffic astray.
func start(s settings, p program) (process, error) {
	for _, dir := range []string{s.path("logs"), s.path("run")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return process{}, err
		}
	}
	log, err := os.OpenFile(s.log(p.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return process{}, err
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = s.Dir
	cmd.Env = []string{"PATH=" + searchPath, "HOME=" + s.Dir, "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start %s: %w", p.name, err)
	}
	exited := make(chan struct{})
	id, err := identify(cmd.Process.Pid)
	go func() { _ = cmd.Wait(); close(exited) }()
	if err != nil {
		return process{}, fmt.Errorf("%s ended at once: %s", p.name, s.tail(p.name))
	}
	record, err := json.Marshal(process{Name: p.name, identity: id})
	if err != nil {
		return process{}, err
	}
	return process{p.name, id, exited}, os.WriteFile(s.path("run", p.name+".json"), record, 0o644)
}

// recorded returns the recorded components, whether or not they still run.
func recorded(s settings) ([]process, error) {
	files, err := filepath.Glob(s.path("run", "*.json"))
	if err != nil {
		return nil, err
	}
	var all []process
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var p process
		if err := json.Unmarshal(b, &p); err != nil {
			continue // cut short by a crash: the process is found by its command line, see strays
		}
		all = append(all, p)
	}
	return all, nil
}

// startLimit is how long a component may take to become ready. It takes a few seconds on two idle cores, but tests and builds
// may keep them busy.
const startLimit = 2 * time.Minute

// waitFor polls ready until it returns nil, a process in watch ends, or the time is up.
func waitFor(ctx context.Context, s settings, what string, watch []process, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		for _, p := range watch {
			select {
			case <-p.exited:
				return fmt.Errorf("%s ended; the last lines of %s:\n%s", p.Name, s.log(p.Name), s.tail(p.Name))
			default:
			}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%s is not ready after %s: %w (logs: %s)", what, startLimit, err, s.path("logs"))
			}
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tail returns the end of a component's log.
func (s settings) tail(name string) string {
	b, err := os.ReadFile(s.log(name))
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
}
