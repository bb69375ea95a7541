package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sftp-operator/sftp-operator/hack/bench/report"
	"github.com/sftp-operator/sftp-operator/hack/bench/servers"
)

// countCalls does the work once and prints how many system calls the server and its children made, including those of the
// login. The kernel counts them; a tracer would stop the server at each one, and change its behavior.
func countCalls(ctx context.Context, w workload, s *servers.Server) error {
	if _, err := exec.LookPath("perf"); err != nil {
		fmt.Println("system calls were not counted: perf is not installed")
		return nil
	}
	pids, err := s.Group.Processes()
	if err != nil {
		return err
	}
	list := make([]string, len(pids))
	for i, pid := range pids {
		list[i] = strconv.Itoa(pid)
	}
	dir, err := os.MkdirTemp("", "bench-calls-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "count")
	cmd := exec.CommandContext(ctx, "perf", "stat", "-x", ",", "-o", file, "-e", "raw_syscalls:sys_enter", "-p", strings.Join(list, ","))
	if err := cmd.Start(); err != nil {
		return err
	}
	time.Sleep(time.Second) // until it counts
	_, failed := w.run(ctx, s)
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait() // its error reports the signal
	content, err := os.ReadFile(file)
	if failed != nil || err != nil {
		return errors.Join(failed, err)
	}
	count, err := parseCount(string(content))
	if err != nil {
		fmt.Printf("system calls of %s: unknown: %v\n", s.Label, err)
		return nil
	}
	fmt.Printf("system calls of %s: %s per %s\n\n", s.Label, report.Fixed(float64(count)/w.amount, 1), w.unit)
	return nil
}

// parseCount reads what perf stat -x , wrote: comments, and a line that starts with the count.
func parseCount(text string) (int64, error) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		if len(fields) > 2 && fields[2] == "raw_syscalls:sys_enter" {
			return strconv.ParseInt(fields[0], 10, 64)
		}
	}
	return 0, errors.New("perf stat counted nothing")
}
