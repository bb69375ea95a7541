package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	policyProgram = "kube-network-policies"
	policyUser    = "sftp-operator-network-policies"
	// policyQueue is the kernel queue in which connections wait for a verdict. Other programs use small numbers.
	policyQueue = 16443
)

// policies enforces NetworkPolicies, as a process on the node.
func policies(s settings, bin string) program {
	return program{policyProgram, filepath.Join(bin, policyProgram), []string{
		"-kubeconfig=" + s.path("config", "policies.kubeconfig"),
		"-node=" + nodeName,
		"-queue=" + strconv.Itoa(policyQueue),
	}}
}

// policyRules make the program decide on the first packet of each connection from a pod, and to a pod from anywhere except the
// node: after kube-proxy has rewritten the destination, and before the source is masqueraded. Packets to the node itself, for
// example to the API server, are input. Packets from it, such as the kubelet's probes, pass neither chain, as NetworkPolicies
// require. While the program is not running, these packets are dropped.
func policyRules() string {
	const rule = `-A %[1]s -m conntrack ! --ctstate RELATED,ESTABLISHED -j NFQUEUE --queue-num %[2]d`
	return fmt.Sprintf(`*mangle
:%[1]s - [0:0]
`+rule+`
-A INPUT -i %[3]s -j %[1]s
-A FORWARD -i %[3]s -j %[1]s
-A FORWARD ! -i %[3]s -o %[3]s -j %[1]s
COMMIT
`, policyChain, policyQueue, bridgeName)
}

// letPoliciesBeRead grants the program access to what its verdicts depend on.
func letPoliciesBeRead(ctx context.Context, api *api) error {
	const rbac = "/apis/rbac.authorization.k8s.io/v1/"
	return errors.Join(
		api.create(ctx, rbac+"clusterroles", object{
			"metadata": object{"name": policyUser},
			"rules": []object{
				{"apiGroups": []string{""}, "resources": []string{"namespaces", "pods"}, "verbs": []string{"list", "watch"}},
				{"apiGroups": []string{"networking.k8s.io"}, "resources": []string{"networkpolicies"}, "verbs": []string{"list", "watch"}},
			},
		}),
		api.create(ctx, rbac+"clusterrolebindings", object{
			"metadata": object{"name": policyUser},
			"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": policyUser},
			"subjects": []object{{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": policyUser}},
		}),
	)
}

// policiesEnforced returns nil if the program receives packets from its queue, which it does once it has read the policies.
func policiesEnforced() error {
	const queues = "/proc/net/netfilter/nfnetlink_queue"
	b, err := os.ReadFile(queues)
	if err != nil {
		return fmt.Errorf("the kernel does not support packet queues (CONFIG_NETFILTER_NETLINK_QUEUE): %w", err)
	}
	if !hasQueue(string(b), policyQueue) {
		return fmt.Errorf("%s does not enforce NetworkPolicies yet: nothing reads queue %d", policyProgram, policyQueue)
	}
	return nil
}

// hasQueue finds a queue in the kernel's list, which has one line each, starting with the number.
func hasQueue(list string, number int) bool {
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == strconv.Itoa(number) {
			return true
		}
	}
	return false
}
