// Command kube-network-policies enforces the NetworkPolicies of the development cluster: it decides on the first packet of each
// connection, which the node's firewall rules (hack/cluster/firewall.go) put into a kernel queue.
//
// It is the controller of sigs.k8s.io/kube-network-policies. The module's own command only runs in a pod, and its nftables
// rules need an expression that not every kernel has (CONFIG_NFT_QUEUE).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig `file` of a user who may list and watch pods, namespaces and NetworkPolicies")
	node := flag.String("node", "", "`name` of this node")
	queue := flag.Int("queue", 0, "`number` of the queue that the firewall rules put packets into")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, *node, *queue); err != nil {
		fmt.Fprintln(os.Stderr, "kube-network-policies:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context, kubeconfig, node string, queue int) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	controller, err := networkpolicy.NewController(
		client, factory.Networking().V1().NetworkPolicies(), factory.Core().V1().Namespaces(), factory.Core().V1().Pods(),
		nil, nil, nil, nil, // AdminNetworkPolicies are off
		networkpolicy.Config{
			NodeName: node,
			QueueID:  queue,
			// The controller also writes nftables rules. It must not: if the kernel accepts them, they would duplicate the
			// cluster's rules, and outlive a crash. No kernel accepts a table with a name of 256 bytes, or a rule without
			// its table. The log has an error about it each time the policies change.
			NFTableName: strings.Repeat("x", 256),
			// NRI stays enabled although containerd 1.6 does not support it, and the log says so: v0.8.0 asks for pods'
			// addresses there without checking whether it is disabled, and dereferences nil.
			NRIdisabled: false,
		})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	return controller.Run(ctx)
}
