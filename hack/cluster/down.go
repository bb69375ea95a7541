package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

func down(ctx context.Context, s settings) error {
	// The firewall rules and the bridge may exist even if the state folder was removed.
	if err := remove(ctx, s); err != nil {
		return err
	}
	say("down")
	return nil
}

// remove stops a cluster and undoes all that it did to the machine. It can be called in any state, repeatedly.
func remove(ctx context.Context, s settings) error {
	old, err := readState(s)
	if err != nil {
		return err
	}
	if err := refuseOther(s); err != nil {
		return err
	}
	if err := stopAll(ctx, s); err != nil {
		return err
	}
	errs := []error{
		removeOutside(s, old),
		unmountBelow(s.Dir),
		tearDownNetwork(ctx),
		tearDownFirewall(ctx),
		tearDownCgroups(),
	}
	if old != nil {
		errs = append(errs, restoreSysctls(old.Sysctls))
	}
	if err := errors.Join(errs...); err != nil {
		return err // the record of what is left to undo stays
	}
	return os.RemoveAll(s.Dir)
}

// stopAll kills every process of the cluster, including containers and their shims. Nothing has to be preserved, so
// nothing is terminated gracefully. It repeats until none is left: a dying process may just have started another.
func stopAll(ctx context.Context, s settings) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		left, err := leftovers(s)
		if err != nil || len(left) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes did not end; the first one is %d (%s)", len(left), left[0].PID, left[0].Exe)
		}
		for _, id := range left {
			if err := id.kill(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// leftovers returns the processes of the cluster that still run.
func leftovers(s settings) ([]identity, error) {
	processes, err := recorded(s)
	if err != nil {
		return nil, err
	}
	pods, err := cgroupProcesses()
	if err != nil {
		return nil, err
	}
	others, err := strays(s)
	if err != nil {
		return nil, err
	}
	left := slices.Concat(pods, others)
	for _, p := range processes {
		if p.runs() {
			left = append(left, p.identity)
		}
	}
	return left, nil
}
