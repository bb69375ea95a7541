package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroup2 reports whether the machine only has the unified hierarchy.
func cgroup2() bool {
	const magic = 0x63677270
	var fs syscall.Statfs_t
	return syscall.Statfs(cgroupRoot, &fs) == nil && fs.Type == magic
}

// cgroupFolders returns the cluster's own cgroup: a folder in every hierarchy. All pods are below it, so that
// what they leave behind can be distinguished from everything else on the machine.
func cgroupFolders() ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, m := range parseMounts(string(mounts)) {
		if (m.kind == "cgroup" || m.kind == "cgroup2") && strings.HasPrefix(m.point, cgroupRoot) {
			folders = append(folders, filepath.Join(m.point, clusterName))
		}
	}
	if folders == nil {
		return nil, fmt.Errorf("no cgroup hierarchy is mounted below %s", cgroupRoot)
	}
	return folders, nil
}

// setUpCgroups makes the cluster's cgroup: the kubelet expects it to exist, with all controllers.
func setUpCgroups() error {
	folders, err := cgroupFolders()
	if err != nil {
		return err
	}
	if cgroup2() {
		return setUpCgroup2(folders[0])
	}
	for _, dir := range folders {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		// A new cpuset is empty, and no process can join an empty one.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, file), value, 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// setUpCgroup2 makes the cgroup and enables every controller of the machine in it and in its children.
func setUpCgroup2(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range []string{filepath.Dir(dir), dir} {
		controllers, err := os.ReadFile(filepath.Join(d, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for c := range strings.FieldsSeq(string(controllers)) {
			if err := os.WriteFile(filepath.Join(d, "cgroup.subtree_control"), []byte("+"+c), 0o644); err != nil {
				return fmt.Errorf("delegate the %s controller from %s: %w (a container needs its own cgroup namespace)", c, d, err)
			}
		}
	}
	return nil
}

// cgroupProcesses returns the processes in the cluster's cgroup: those of the pods.
func cgroupProcesses() ([]identity, error) {
	folders, err := cgroupFolders()
	if err != nil {
		return nil, err
	}
	var found []identity
	for _, root := range folders {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "cgroup.procs" {
				return nil //nolint:nilerr // a cgroup may disappear meanwhile
			}
			pids, _ := os.ReadFile(path)
			for line := range strings.FieldsSeq(string(pids)) {
				pid, err := strconv.Atoi(line)
				if err != nil || slices.ContainsFunc(found, func(id identity) bool { return id.PID == pid }) {
					continue
				}
				if id, err := identify(pid); err == nil {
					found = append(found, id)
				}
			}
			return nil
		})
	}
	return found, nil
}

// tearDownCgroups removes the cluster's cgroup. The kernel releases a dead process's cgroup a little late.
func tearDownCgroups() error {
	folders, err := cgroupFolders()
	if err != nil {
		return err
	}
	var errs []error
	for _, root := range folders {
		for range 50 {
			if err = removeCgroup(root); err == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// removeCgroup removes a cgroup and those below it. The files in it cannot and need not be removed.
func removeCgroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("remove cgroup %s: %w", dir, err)
	}
	return nil
}
