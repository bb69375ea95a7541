package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// needed are the kernel settings that pods' networking requires.
var needed = []string{"net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"}

// touched are the kernel settings that the cluster's programs change: ours, kube-proxy's, and the kubelet's.
var touched = append([]string{
	"net/ipv4/conf/all/route_localnet",
	"net/bridge/bridge-nf-call-ip6tables",
	"vm/overcommit_memory",
	"vm/panic_on_oom",
	"kernel/panic",
	"kernel/panic_on_oops",
	"kernel/keys/root_maxkeys",
	"kernel/keys/root_maxbytes",
}, needed...)

// readSysctls returns the current values, for restoreSysctls.
func readSysctls() map[string]string {
	values := map[string]string{}
	for _, name := range touched {
		if b, err := os.ReadFile("/proc/sys/" + name); err == nil {
			values[name] = strings.TrimSpace(string(b))
		}
	}
	return values
}

func restoreSysctls(values map[string]string) error {
	var errs []error
	for name, value := range values {
		errs = append(errs, setSysctl(name, value))
	}
	return errors.Join(errs...)
}

func setSysctl(name, value string) error {
	path := "/proc/sys/" + name
	if b, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(b)) == value {
		return nil // not written: it may be read-only, as in a container
	}
	return os.WriteFile(path, []byte(value), 0)
}

// prepareKernel loads what may be a module and switches on forwarding.
func prepareKernel(ctx context.Context) error {
	if find("modprobe") != "" {
		for _, module := range []string{"br_netfilter", "overlay"} {
			_ = command(ctx, "modprobe", module) // built in where it fails, or the check below says what is wrong
		}
	}
	for _, name := range needed {
		if err := setSysctl(name, "1"); err != nil {
			return fmt.Errorf("kernel setting %s: %w (is the kernel built with bridge netfilter, CONFIG_BRIDGE_NETFILTER?)", name, err)
		}
	}
	return nil
}

// hasCapability reports whether this process has a capability, by its number in linux/capability.h.
func hasCapability(procStatus string, number uint) bool {
	for line := range strings.Lines(procStatus) {
		var set uint64
		if _, err := fmt.Sscanf(line, "CapEff: %x", &set); err == nil {
			return set&(1<<number) != 0
		}
	}
	return false
}
