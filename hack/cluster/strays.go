package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ours reports whether a process without a record belongs to the cluster: one of its programs, with the state folder
// in its command line. A pager or an editor that has a log open is not.
func ours(s settings, exe string, args []string) bool {
	switch filepath.Base(exe) {
	case "containerd", "containerd-shim-runc-v2", "runc", "coredns", policyProgram, filepath.Base(provisionerPath(s)):
	default:
		if name := filepath.Base(exe); name == "kubectl" || !slices.Contains(slices.Concat(controlPlane.names, node.names), name) {
			return false
		}
	}
	for _, a := range append([]string{exe}, args...) {
		if strings.Contains(a+"/", s.Dir+"/") {
			return true
		}
	}
	return false
}

// strays returns the processes that are ours by their command line: the containers' shims, and what a run that was
// killed between a start and its record left.
func strays(s settings) ([]identity, error) {
	return search(func(id identity, args []string) bool { return ours(s, id.Exe, args) })
}

// otherKubernetes are the programs that write the same firewall chains as ours do.
var otherKubernetes = []string{"kubelet", "kube-proxy", "k3s", "k3s-server", "k0s", "rke2", "kubelite"}

// refuseOther returns an error if another Kubernetes runs on this machine: its firewall rules cannot be distinguished
// from this cluster's. One in containers, such as kind's, has a network and so a firewall of its own.
func refuseOther(s settings) error {
	network, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	others, err := search(func(id identity, args []string) bool {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", id.PID))
		return err == nil && theirs == network && slices.Contains(otherKubernetes, filepath.Base(id.Exe)) && !ours(s, id.Exe, args)
	})
	if err != nil || len(others) == 0 {
		return err
	}
	return fmt.Errorf("another Kubernetes is running on this machine (%s, PID %d): stop it first, because they cannot share a firewall; "+
		"if it is this cluster with a different SFTP_OPERATOR_CLUSTER_DIR, run down with that one", others[0].Exe, others[0].PID)
}

// search returns the processes that match.
func search(match func(id identity, args []string) bool) ([]identity, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []identity
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		id, err := identify(pid)
		if err != nil {
			continue // a thread of the kernel, or gone by now
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && match(id, strings.Split(string(cmdline), "\x00")) {
			found = append(found, id)
		}
	}
	return found, nil
}
