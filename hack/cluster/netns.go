package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// printNetworkNamespace prints where a pod's network namespace is, so that tests can open and accept connections as the pod.
func printNetworkNamespace(ctx context.Context, s settings, name string) error {
	namespace, pod, ok := strings.Cut(name, "/")
	if !ok {
		return fmt.Errorf("%q: want NAMESPACE/POD", name)
	}
	if os.Geteuid() != 0 {
		return errors.New("netns needs root, which owns containerd's socket")
	}
	const filter = `labels."io.kubernetes.pod.namespace"==%s,labels."io.kubernetes.pod.name"==%s,labels."io.cri-containerd.kind"==sandbox`
	sandboxes, err := ctr(ctx, s, "containers", "list", "--quiet", fmt.Sprintf(filter, namespace, pod))
	if err != nil {
		return err
	}
	tasks, err := ctr(ctx, s, "tasks", "list")
	if err != nil {
		return err
	}
	pid := sandboxPID(sandboxes, tasks)
	if pid == "" {
		return fmt.Errorf("pod %s has no running sandbox", name)
	}
	fmt.Println("/proc/" + pid + "/ns/net")
	return nil
}

// sandboxPID finds the process of a pod's sandbox in ctr's table of tasks, where an earlier one may still be listed.
func sandboxPID(sandboxes, tasks string) string {
	ids := strings.Fields(sandboxes)
	for line := range strings.Lines(tasks) {
		fields := strings.Fields(line) // TASK PID STATUS
		if len(fields) != 3 || fields[2] != "RUNNING" {
			continue
		}
		if slices.Contains(ids, fields[0]) {
			return fields[1]
		}
	}
	return ""
}
