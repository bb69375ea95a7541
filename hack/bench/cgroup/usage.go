package cgroup

import (
	"fmt"
	"os"
	"time"
)

// PSS returns the memory of all processes of the group in bytes: each one's private memory plus its share of shared memory
// (proc_pid_smaps(5)). Kernel memory, such as socket buffers, is not included.
func (g *Group) PSS() (bytes int64, processes int, err error) {
	pids, err := g.Processes()
	if err != nil {
		return 0, 0, err
	}
	for _, pid := range pids {
		rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue // it has ended in the meantime
		}
		kib, err := field(string(rollup), "Pss:")
		if err != nil {
			return 0, 0, fmt.Errorf("process %d: %w", pid, err)
		}
		bytes += kib << 10
		processes++
	}
	return bytes, processes, nil
}

// Calls returns how many calls of the read and write families the processes of the group have made so far, on files and sockets
// (proc_pid_io(5)). Those of ended processes are not included.
func (g *Group) Calls() (int64, error) {
	pids, err := g.Processes()
	if err != nil {
		return 0, err
	}
	var calls int64
	for _, pid := range pids {
		io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
		if err != nil {
			continue // it has ended in the meantime
		}
		for _, name := range []string{"syscr:", "syscw:"} {
			n, err := field(string(io), name)
			if err != nil {
				return 0, fmt.Errorf("process %d: %w", pid, err)
			}
			calls += n
		}
	}
	return calls, nil
}

// Settled waits until the group is idle, for at most limit, and then returns its CPU time. That way, the end of a session and
// of its processes counts toward the work before it.
func (g *Group) Settled(limit time.Duration) (time.Duration, error) {
	const (
		interval = 15 * time.Millisecond
		rest     = 200 * time.Microsecond // what an idle server may use in an interval
		quiet    = 3                      // intervals
	)
	end := time.Now().Add(limit)
	last, err := g.CPU()
	for calm := 0; err == nil && calm < quiet && time.Now().Before(end); {
		time.Sleep(interval)
		var now time.Duration
		now, err = g.CPU()
		if now-last < rest {
			calm++
		} else {
			calm = 0
		}
		last = now
	}
	return last, err
}
