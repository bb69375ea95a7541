// Package cgroup runs a server in its own control group, so that its usage, including that of its children, can be measured
// separately.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const root = "/sys/fs/cgroup"

// Group is a cgroup: of version 2, or of version 1 in the hierarchy of the cpuacct controller.
type Group struct {
	// Dir is the cgroup's directory.
	Dir string
}

// Parent returns the directory in which a cgroup that counts CPU time can be created.
func Parent() (string, error) {
	const cgroup2Magic = 0x63677270 // CGROUP2_SUPER_MAGIC of statfs(2)
	var stat syscall.Statfs_t
	if err := syscall.Statfs(root, &stat); err != nil {
		return "", fmt.Errorf("%s: %w", root, err)
	}
	if stat.Type == cgroup2Magic {
		return root, nil
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	if dir := cpuacct(string(mounts)); dir != "" {
		return dir, nil
	}
	return "", fmt.Errorf("neither cgroup v2 nor the cpuacct controller of v1 is mounted below %s", root)
}

// cpuacct finds where the cpuacct controller is mounted, on its own or with others, according to mountinfo.
func cpuacct(mountinfo string) string {
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 || kind[0] != "cgroup" {
			continue
		}
		for option := range strings.SplitSeq(kind[2], ",") {
			if option == "cpuacct" {
				return fields[4]
			}
		}
	}
	return ""
}

// Make creates a cgroup below Parent, after removing a leftover with the same name.
func Make(name string) (*Group, error) {
	parent, err := Parent()
	if err != nil {
		return nil, err
	}
	g := &Group{Dir: filepath.Join(parent, name)}
	if err := g.Remove(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(g.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("create a cgroup (must be root): %w", err)
	}
	return g, nil
}

// Open returns an existing cgroup.
func Open(dir string) (*Group, error) {
	g := &Group{Dir: dir}
	if _, err := g.CPU(); err != nil {
		return nil, fmt.Errorf("%s does not count CPU time: %w", dir, err)
	}
	return g, nil
}

// Add moves a process into the group. Its future children are in it from their start.
func (g *Group) Add(pid int) error {
	return os.WriteFile(filepath.Join(g.Dir, "cgroup.procs"), strconv.AppendInt(nil, int64(pid), 10), 0o644)
}

// CPU returns the user and system time of all processes of the group so far, including ended ones.
func (g *Group) CPU() (time.Duration, error) {
	v1, err := os.ReadFile(filepath.Join(g.Dir, "cpuacct.usage"))
	if err == nil {
		ns, err := strconv.ParseInt(strings.TrimSpace(string(v1)), 10, 64)
		return time.Duration(ns), err
	}
	v2, err := os.ReadFile(filepath.Join(g.Dir, "cpu.stat"))
	if err != nil {
		return 0, err
	}
	us, err := field(string(v2), "usage_usec")
	return time.Duration(us) * time.Microsecond, err
}

// field returns the number that follows a name in lines of names and numbers.
func field(lines, name string) (int64, error) {
	for line := range strings.Lines(lines) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == name {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s", name)
}

// Processes returns the processes of the group and of those below it.
func (g *Group) Processes() ([]int, error) {
	var pids []int
	err := filepath.WalkDir(g.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		lines, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.FieldsSeq(string(lines)) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				return err
			}
			pids = append(pids, pid)
		}
		return nil
	})
	return pids, err
}

// Kill kills all processes of the group and waits until they are gone.
func (g *Group) Kill() error {
	for range 100 {
		pids, err := g.Processes()
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(pids) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("processes of %s survive SIGKILL", g.Dir)
}

// Remove removes the group, which must be empty. The kernel releases a dead process's cgroup a little late.
func (g *Group) Remove() error {
	var err error
	for range 50 {
		err = syscall.Rmdir(g.Dir)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("remove cgroup %s: %w", g.Dir, err)
}
