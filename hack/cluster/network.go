package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// setUpNetwork creates the bridge that the pods are attached to, with the node's address on it, and configures CNI for it.
func setUpNetwork(ctx context.Context, s settings) error {
	if err := networkIsFree(s); err != nil {
		return err
	}
	address := netip.PrefixFrom(s.nodeIP(), s.PodNet.Bits()).String()
	for _, args := range [][]string{
		{"link", "add", bridgeName, "type", "bridge"},
		{"addr", "add", address, "dev", bridgeName},
		{"link", "set", bridgeName, "up"},
	} {
		if err := command(ctx, "ip", args...); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(s.path("cni"), 0o755); err != nil {
		return err
	}
	return writeJSON(s.path("cni", "10-bridge.conflist"), cniConfig(s), 0o644)
}

func cniConfig(s settings) object {
	return object{
		"cniVersion": "0.4.0", // the newest that Debian 12's containerd and plugins have in common
		"name":       clusterName,
		"plugins": []object{
			{
				"type":        "bridge",
				"bridge":      bridgeName,
				"isGateway":   true,
				"ipMasq":      true,
				"hairpinMode": true, // a pod may reach itself through its Service
				"ipam": object{
					"type":    "host-local",
					"dataDir": s.path("cni", "addresses"),
					"ranges":  [][]object{{{"subnet": s.PodNet.String(), "gateway": s.nodeIP().String()}}},
					"routes":  []object{{"dst": "0.0.0.0/0"}},
				},
			},
		},
	}
}

// networkIsFree refuses to start if the cluster's networks or ports are in use.
func networkIsFree(s settings) error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addresses {
			for _, n := range []netip.Prefix{s.PodNet, s.ServicesNet} {
				if other, err := netip.ParsePrefix(a.String()); err == nil && n.Overlaps(other) {
					return fmt.Errorf("%s has %s, which overlaps the cluster's %s: choose different networks with SFTP_OPERATOR_CLUSTER_PODS and SFTP_OPERATOR_CLUSTER_SERVICES", i.Name, other, n)
				}
			}
		}
	}
	for offset := range portCount {
		l, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", s.port(offset)))
		if err != nil {
			return fmt.Errorf("port %d is in use; the cluster needs %d to %d: choose others with SFTP_OPERATOR_CLUSTER_PORT (%w)",
				s.port(offset), s.Port, s.Port+portCount-1, err)
		}
		l.Close()
	}
	return nil
}

// tearDownNetwork removes the bridge and the pods' ends of it.
func tearDownNetwork(ctx context.Context) error {
	if _, err := os.Stat("/sys/class/net/" + bridgeName); err != nil {
		return nil //nolint:nilerr // it does not exist
	}
	out, err := output(ctx, "", "ip", "-json", "link", "show", "master", bridgeName)
	if err != nil {
		return err
	}
	var ports []struct{ Ifname string }
	if strings.TrimSpace(out) != "" {
		if err := json.Unmarshal([]byte(out), &ports); err != nil {
			return fmt.Errorf("ip link: %w", err)
		}
	}
	for _, p := range append(ports, struct{ Ifname string }{bridgeName}) {
		// A pod's interface goes away with its network namespace, maybe right now.
		err := command(ctx, "ip", "link", "delete", p.Ifname)
		if _, gone := os.Stat("/sys/class/net/" + p.Ifname); err != nil && gone == nil {
			return err
		}
	}
	return nil
}

// resolvConf returns the DNS configuration for pods. systemd-resolved's stub listens on the host's loopback address,
// which pods cannot reach.
func resolvConf() string {
	const resolved = "/run/systemd/resolve/resolv.conf"
	if target, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && strings.HasSuffix(target, "stub-resolv.conf") {
		if _, err := os.Stat(resolved); err == nil {
			return resolved
		}
	}
	return "/etc/resolv.conf"
}
