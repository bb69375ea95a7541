package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Faults that tests cause in a running cluster. No supervisor such as systemd restarts the components: a killed one stays dead
// until it is restarted.

// programs returns the components, in the order in which up starts them.
func programs(s settings, bin folders) []program {
	return []program{
		etcd(s, bin.Kubernetes), apiServer(s, bin.Kubernetes), controllerManager(s, bin.Kubernetes), scheduler(s, bin.Kubernetes),
		containerd(s), kubelet(s, bin.Kubernetes), proxy(s, bin.Kubernetes), provisioner(s), dns(s, bin.CoreDNS),
		policies(s, bin.NetworkPolicies),
	}
}

// fault carries out one of these faults.
func fault(ctx context.Context, s settings, command string, args []string) error {
	switch command {
	case "kill":
		return kill(ctx, s, args[0])
	case "start":
		return restart(s, args[0], args[1:])
	case "cut":
		return cut(ctx, args[0], args[1:])
	case "mend":
		return mend(ctx)
	case "recover-etcd":
		return recoverEtcd(ctx, s)
	}
	return errUsage
}

// kill ends a component or a pod's containers, and returns when they are gone. Containers outlive containerd, because their
// shims are not its children.
func kill(ctx context.Context, s settings, name string) error {
	if namespace, pod, ok := strings.Cut(name, "/"); ok {
		return killPod(ctx, s, namespace, pod)
	}
	if !slices.Contains(components, name) {
		return fmt.Errorf("no component is called %q: choose one of %s", name, strings.Join(components, ", "))
	}
	all, err := recorded(s)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(p process) bool { return p.Name == name })
	if i < 0 || !all[i].runs() {
		return fmt.Errorf("%s is not running", name)
	}
	if err := all[i].kill(); err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); all[i].runs(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s (PID %d) is still running", name, all[i].PID)
		}
	}
	return nil
}

// killPod sends SIGKILL to the processes of a pod's containers; the kubelet then does what it does after a crash.
func killPod(ctx context.Context, s settings, namespace, pod string) error {
	const filter = `labels."io.kubernetes.pod.namespace"==%s,labels."io.kubernetes.pod.name"==%s,labels."io.cri-containerd.kind"==container`
	out, err := ctr(ctx, s, "containers", "list", "--quiet", fmt.Sprintf(filter, namespace, pod))
	if err != nil {
		return err
	}
	killed := 0
	var errs []error
	for id := range strings.FieldsSeq(out) {
		// A container of an earlier crash has no process.
		if _, err := ctr(ctx, s, "tasks", "kill", "--signal", "SIGKILL", id); err != nil {
			errs = append(errs, err)
			continue
		}
		killed++
	}
	if killed == 0 {
		return errors.Join(append(errs, fmt.Errorf("pod %s/%s has no running container", namespace, pod))...)
	}
	return nil
}

// restart starts a component that was killed. It returns when the process runs, not when it answers, because the time until
// then is measured.
func restart(s settings, name string, args []string) error {
	st, err := readState(s)
	if err != nil {
		return err
	}
	if st == nil {
		return errors.New("no cluster: run up")
	}
	all := programs(s, st.Folders)
	i := slices.IndexFunc(all, func(p program) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("no component is called %q: choose one of %s", name, strings.Join(components, ", "))
	}
	running, err := recorded(s)
	if err != nil {
		return err
	}
	for _, p := range running {
		if p.Name == name && p.runs() {
			return fmt.Errorf("%s is already running (PID %d)", name, p.PID)
		}
	}
	all[i].args = append(all[i].args, args...)
	_, err = start(s, all[i])
	return err
}

// cut silently drops the packets between a pod's port and everyone, or one address, like a failing network.
func cut(ctx context.Context, where string, from []string) error {
	pod, err := netip.ParseAddrPort(where)
	if err != nil || !pod.Addr().Is4() {
		return fmt.Errorf("%q: want an IPv4 address and a port, such as 10.201.0.7:2222", where)
	}
	peer := netip.MustParsePrefix("0.0.0.0/0")
	if len(from) > 0 {
		a, err := netip.ParseAddr(from[0])
		if err != nil || !a.Is4() || len(from) > 1 {
			return fmt.Errorf("%q: want one IPv4 address", from)
		}
		peer = netip.PrefixFrom(a, 32)
	}
	_, err = output(ctx, cutRules(pod, peer, cutChainExists(ctx)), "iptables-restore", "--wait", "--noflush")
	return err
}

// cutRules match the pod's packets before, and packets to it after, kube-proxy has rewritten an address.
func cutRules(pod netip.AddrPort, peer netip.Prefix, exists bool) string {
	head := fmt.Sprintf("*mangle\n:%[1]s - [0:0]\n-I PREROUTING -j %[1]s\n-I POSTROUTING -j %[1]s\n", cutChain)
	if exists {
		head = "*mangle\n"
	}
	return head + fmt.Sprintf(`-A %[1]s -s %[2]s/32 -d %[4]s -p tcp -m tcp --sport %[3]d -j DROP
-A %[1]s -s %[4]s -d %[2]s/32 -p tcp -m tcp --dport %[3]d -j DROP
COMMIT
`, cutChain, pod.Addr(), pod.Port(), peer)
}

func mend(ctx context.Context) error {
	if !cutChainExists(ctx) {
		return nil
	}
	_, err := output(ctx, fmt.Sprintf("*mangle\n-D PREROUTING -j %[1]s\n-D POSTROUTING -j %[1]s\n-F %[1]s\n-X %[1]s\nCOMMIT\n", cutChain),
		"iptables-restore", "--wait", "--noflush")
	return err
}

func cutChainExists(ctx context.Context) bool {
	return exec.CommandContext(ctx, find("iptables"), "--wait", "-t", "mangle", "-n", "-L", cutChain).Run() == nil
}
