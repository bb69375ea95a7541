package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// apiServer returns the address of the Service default/kubernetes.
func apiServer(t *testing.T) string {
	t.Helper()
	svc := &corev1.Service{}
	must(t, kube.Get(t.Context(), types.NamespacedName{Namespace: "default", Name: "kubernetes"}, svc))
	return net.JoinHostPort(svc.Spec.ClusterIP, "443")
}

// The policy of a listener: every client reaches SFTP, only the operator and monitoring namespaces reach the status port, and
// the pods open no connections. Without the policy all of this is possible, so that the test really tests the policy.
func TestNetworkPolicies(t *testing.T) {
	ns := newNamespace(t, "policies", nil)
	l := newListener(t, ns, "partners", nil) // it is ready, so the operator reaches its pod
	pod := podsOf(t, l)[0]
	sftp, status := net.JoinHostPort(pod.Status.PodIP, "2222"), net.JoinHostPort(pod.Status.PodIP, "8081")

	manager := operatorPod(t)
	foreign := newBystander(t, newNamespace(t, "foreign", nil), "foreign", nil)
	neighbor := newBystander(t, ns, "neighbor", nil)
	// Neither the operator's labels nor its namespace are sufficient.
	disguised := newBystander(t, foreign.Namespace, "disguised", manager.Labels)
	guest := newBystander(t, operatorNamespace, "guest", nil)
	monitor := newBystander(t, newNamespace(t, "monitor", map[string]string{render.LabelMonitoring: "true"}), "monitor", nil)
	strangers := []*corev1.Pod{foreign, neighbor, disguised, guest}

	for _, p := range append(strangers, monitor, manager) {
		c, err := dialFrom(t, p, "tcp", sftp)
		if err != nil {
			t.Errorf("%s/%s cannot connect to SFTP: %v", p.Namespace, p.Name, err)
			continue
		}
		must(t, c.SetDeadline(time.Now().Add(10*time.Second)))
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "SSH-2.0-") {
			t.Errorf("%s/%s: the daemon says %q, %v", p.Namespace, p.Name, line, err)
		}
		c.Close()
	}
	for _, p := range strangers {
		reachesNot(t, p, status, "the status port")
	}
	reaches(t, monitor, status, "the status port")
	reaches(t, manager, status, "the status port")

	open := listenIn(t, foreign, 8080)
	for what, address := range map[string]string{
		"the API server's Service": apiServer(t), "the API server": restCfgAddress(t, foreign), "another pod": open.Addr().String(),
	} {
		reaches(t, neighbor, address, what)
		reachesNot(t, &pod, address, what)
	}
	if err := lookUp(t, neighbor); err != nil {
		t.Errorf("a pod without a policy has no DNS: %v", err)
	}
	if err := lookUp(t, &pod); err == nil {
		t.Error("a listener's pod can query DNS")
	}

	operatorName := operatorDeployment(t)
	// The control case: the operator must be stopped, because it would recreate the policy at once.
	scaleOperator(t, 0)
	t.Cleanup(func() { // it is running, unless the test failed
		if out, err := kubectl("-n", operatorNamespace, "scale", "deployment", operatorName, "--replicas=1"); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: render.WorkloadName(l)}}
	must(t, kube.Delete(t.Context(), policy))
	eventually(t, 30*time.Second, "without its policy the pod can be reached", func() bool {
		c, err := dialFrom(t, foreign, "tcp", status)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	reaches(t, &pod, apiServer(t), "the API server's Service")
	reaches(t, &pod, open.Addr().String(), "another pod")
	must(t, lookUp(t, &pod))

	scaleOperator(t, 1)
	eventually(t, time.Minute, "the operator recreates the policy", func() bool {
		return kube.Get(t.Context(), client.ObjectKeyFromObject(policy), policy) == nil
	})
	reachesNot(t, foreign, status, "the status port")
	reachesNot(t, &pod, apiServer(t), "the API server's Service")
	fmt.Printf("POLICY %d pods cannot reach the status port, a listener's pod cannot open connections\n", len(strangers))
}

// restCfgAddress returns the address that the API server's Service leads to: the node's address, as seen from a pod.
func restCfgAddress(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(restCfg.Host, "https://"))
	must(t, err)
	return net.JoinHostPort(pod.Status.HostIP, port)
}

// lookUp asks the cluster's DNS for a name, from a pod.
func lookUp(t *testing.T, pod *corev1.Pod) error {
	t.Helper()
	svc := &corev1.Service{}
	must(t, kube.Get(t.Context(), types.NamespacedName{Namespace: "kube-system", Name: "kube-dns"}, svc))
	// The resolver queries in its own goroutines, so it is given a socket that is in the pod's namespace.
	c, err := dialFrom(t, pod, "udp", net.JoinHostPort(svc.Spec.ClusterIP, "53"))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), dropped)
	defer cancel()
	used := false
	r := net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		if used {
			return nil, fmt.Errorf("no answer to the first query")
		}
		used = true
		return c, nil
	}}
	_, err = r.LookupNetIP(ctx, "ip4", "kubernetes.default.svc.cluster.local.")
	return err
}

// The chart's policy for the operator allows scrapes from where the values say, and nothing else, and the operator still works.
func TestOperatorNetworkPolicy(t *testing.T) {
	scraper := newBystander(t, newNamespace(t, "scraper", nil), "scraper", nil)
	foreign := newBystander(t, newNamespace(t, "foreign", nil), "foreign", nil)
	address := func(port string) string { return net.JoinHostPort(operatorPod(t).Status.PodIP, port) }
	const metrics, health = "8443", "8081"
	for _, p := range []string{metrics, health} {
		reaches(t, foreign, address(p), "port "+p+" of an operator without a policy")
	}

	t.Cleanup(func() {
		if err := installWithHelm(); err != nil {
			t.Errorf("install without the policy: %v", err)
		}
	})
	must(t, installWithHelm("--set", "networkPolicy.enabled=true",
		"--set", `networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.kubernetes\.io/metadata\.name=`+scraper.Namespace))
	reaches(t, scraper, address(metrics), "the operator's metrics")
	reachesNot(t, scraper, address(health), "the operator's health port")
	reachesNot(t, foreign, address(metrics), "the operator's metrics")
	reachesNot(t, foreign, address(health), "the operator's health port")
	newListener(t, newNamespace(t, "behind", nil), "partners", nil)
}
