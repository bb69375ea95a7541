package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// identity distinguishes a process from all others that had or will have its PID.
type identity struct {
	PID   int
	Start uint64 // clock ticks after boot
	Boot  string // the kernel's boot ID
	Exe   string
}

// identify reads the identity of a running process. It fails for a zombie, which no longer runs.
func identify(pid int) (identity, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return identity{}, err
	}
	start, err := startTime(stat)
	if err != nil {
		return identity{}, fmt.Errorf("process %d: %w", pid, err)
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return identity{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, err
	}
	return identity{
		PID: pid, Start: start, Boot: strings.TrimSpace(string(boot)),
		Exe: strings.TrimSuffix(exe, " (deleted)"),
	}, nil
}

// startTime returns field 22 of /proc/PID/stat. Field 2, the name in brackets, may hold spaces and brackets itself.
func startTime(stat []byte) (uint64, error) {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, fmt.Errorf("stat %q has no name", stat)
	}
	fields := strings.Fields(string(stat[i+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("stat %q is too short", stat)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fmt.Errorf("is dead")
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// runs reports whether exactly this process still runs.
func (id identity) runs() bool {
	now, err := identify(id.PID)
	return err == nil && now == id
}

// kill ends exactly this process, if it still runs. os.FindProcess takes a pidfd before the check, so the PID cannot be
// reused between the check and the signal.
func (id identity) kill() error {
	p, err := os.FindProcess(id.PID)
	if err != nil {
		return nil // no such process, as wanted
	}
	defer p.Release()
	if !id.runs() {
		return nil
	}
	if err := p.Kill(); err != nil && id.runs() {
		return fmt.Errorf("kill %d (%s): %w", id.PID, id.Exe, err)
	}
	return nil
}
