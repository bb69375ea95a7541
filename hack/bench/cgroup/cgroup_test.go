package cgroup

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCpuacct(t *testing.T) {
	const mounts = `30 23 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup none rw,cpu,cpuacct
31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup none rw,memory
`
	if got := cpuacct(mounts); got != "/sys/fs/cgroup/cpu,cpuacct" {
		t.Errorf("%q", got)
	}
	for _, none := range []string{"", "31 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n", "nonsense\n"} {
		if got := cpuacct(none); got != "" {
			t.Errorf("%q in %q", got, none)
		}
	}
}

// TestCPU reads the files of both versions of cgroups.
func TestCPU(t *testing.T) {
	for file, content := range map[string]string{
		"cpuacct.usage": "1500000\n",
		"cpu.stat":      "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := g.CPU(); err != nil || got != 1500*time.Microsecond {
			t.Errorf("%s: %v, %v", file, got, err)
		}
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a directory that is not a cgroup was accepted")
	}
}

// TestUsage measures this process through a directory that claims to contain it.
func TestUsage(t *testing.T) {
	dir := t.TempDir()
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(below, "cgroup.procs"), []byte("self\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &Group{Dir: dir}
	if _, err := g.Processes(); err == nil {
		t.Error("a process without a number was accepted")
	}
	if err := g.Add(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(below, "cgroup.procs")); err != nil {
		t.Fatal(err)
	}
	bytes, processes, err := g.PSS()
	if err != nil || processes != 1 || bytes < 1<<20 {
		t.Errorf("%d bytes of %d processes, %v", bytes, processes, err)
	}
	before, err := g.Calls()
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := os.ReadFile("/proc/self/stat"); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := g.Calls(); err != nil || after-before < 100 {
		t.Errorf("%d calls, want at least 100, %v", after-before, err)
	}
}
