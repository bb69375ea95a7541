package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

const (
	inputChain   = "SFTPOP-INPUT"
	forwardChain = "SFTPOP-FORWARD"
	cutChain     = "SFTPOP-CUT"
	policyChain  = "SFTPOP-POLICY"
)

// setUpFirewall lets pods reach the node, each other and the outside, even if a firewall drops unknown traffic, and keeps other
// machines from the API server: it has to listen on the bridge and on 127.0.0.1, and therefore listens everywhere.
func setUpFirewall(ctx context.Context, s settings) error {
	_, err := output(ctx, firewallRules(s), "iptables-restore", "--wait", "--noflush")
	return err
}

func firewallRules(s settings) string {
	return fmt.Sprintf(`*filter
:%[1]s - [0:0]
:%[2]s - [0:0]
-A %[1]s -i %[3]s -j ACCEPT
-A %[1]s ! -i lo -p tcp -m tcp --dport %[4]d -j REJECT
-A %[2]s -i %[3]s -j ACCEPT
-A %[2]s -o %[3]s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-I INPUT -j %[1]s
-I FORWARD -j %[2]s
COMMIT
`, inputChain, forwardChain, bridgeName, s.Port)
}

// setUpPolicyRules sends connections of pods to the program that judges them, unless an interrupted start already did.
func setUpPolicyRules(ctx context.Context) error {
	if exec.CommandContext(ctx, find("iptables"), "--wait", "-t", "mangle", "-n", "-L", policyChain).Run() == nil {
		return nil
	}
	_, err := output(ctx, policyRules(), "iptables-restore", "--wait", "--noflush")
	return err
}

// tearDownFirewall removes the cluster's chains, kube-proxy's and the kubelet's (KUBE-), and CNI's for our network.
func tearDownFirewall(ctx context.Context) error {
	for _, tool := range []string{"iptables", "ip6tables"} {
		if find(tool) == "" {
			continue
		}
		rules, err := output(ctx, "", tool+"-save")
		if err != nil {
			if tool == "ip6tables" {
				continue // a kernel without IPv6 has no rules of it
			}
			return err
		}
		if script := removal(rules); script != "" {
			if _, err := output(ctx, script, tool+"-restore", "--wait", "--noflush"); err != nil {
				return err
			}
		}
	}
	return nil
}

// removal turns the output of iptables-save into the input for iptables-restore --noflush that removes our chains and
// the jumps to them, and nothing else.
func removal(saved string) string {
	var script strings.Builder
	var table string
	var chains, jumps []string
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table, chains, jumps = line, nil, nil
		case strings.HasPrefix(line, ":"):
			if name, _, _ := strings.Cut(line[1:], " "); ownChain(name) {
				chains = append(chains, name)
			}
		case strings.HasPrefix(line, "-A "):
			from, to := ruleChains(line)
			masquerade := strings.HasPrefix(to, "CNI-") && strings.Contains(line, `name: \"`+clusterName+`\"`)
			switch {
			case masquerade:
				chains = append(chains, to)
			case !ownChain(to):
				continue
			}
			if !ownChain(from) {
				jumps = append(jumps, "-D "+strings.TrimPrefix(line, "-A "))
			}
		case line == "COMMIT" && len(chains) > 0:
			script.WriteString(table + "\n")
			for _, j := range jumps {
				script.WriteString(j + "\n")
			}
			for _, c := range chains { // all are emptied first, because they refer to each other
				script.WriteString("-F " + c + "\n")
			}
			for _, c := range chains {
				script.WriteString("-X " + c + "\n")
			}
			script.WriteString("COMMIT\n")
		}
	}
	return script.String()
}

func ownChain(name string) bool {
	return strings.HasPrefix(name, "KUBE-") || name == inputChain || name == forwardChain || name == cutChain || name == policyChain
}

// ruleChains returns the chain that a rule is in and the one that it jumps to.
func ruleChains(rule string) (from, to string) {
	fields := strings.Fields(rule)
	from = fields[1]
	for i, f := range fields[:len(fields)-1] {
		if f == "-j" || f == "-g" {
			to = fields[i+1]
		}
	}
	return from, to
}
