// Package e2e tests the operator on a real Kubernetes node with real SFTP clients. It needs KUBECONFIG, HELM and KUBECTL in the
// environment, and the image loaded; make e2e provides all of that.
//
// Tests run one at a time, because most of them disturb the operator or the node, or measure them. Those that have objects of
// their own and usually wait are parallel; they run after all others.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/controllers"
)

// operatorNamespace is where the tests install the operator.
const operatorNamespace = "sftp-operator-system"

// Set by TestMain for all tests.
var (
	kube      client.WithWatch
	clientset *kubernetes.Clientset
	restCfg   *rest.Config
	image     = envOr("IMAGE", "sftp-operator:dev")
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	fail := func(format string, args ...any) int {
		fmt.Fprintf(os.Stderr, "e2e: "+format+"\n", args...)
		return 1
	}
	for _, name := range []string{"KUBECONFIG", "HELM", "KUBECTL"} {
		if os.Getenv(name) == "" {
			return fail("%s is not set; run the tests with make e2e", name)
		}
	}
	var err error
	if restCfg, err = clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG")); err != nil {
		return fail("%v", err)
	}
	restCfg.QPS, restCfg.Burst = -1, 0
	if kube, err = client.NewWithWatch(restCfg, client.Options{Scheme: controllers.NewScheme()}); err != nil {
		return fail("%v", err)
	}
	if clientset, err = kubernetes.NewForConfig(restCfg); err != nil {
		return fail("%v", err)
	}
	if err := installWithHelm(); err != nil {
		dump(operatorNamespace)
		return fail("install: %v", err)
	}
	code := m.Run()
	if code == 0 {
		if err := uninstallHelm(); err != nil {
			return fail("uninstall: %v", err)
		}
	}
	return code
}

// installWithHelm installs the chart as a user would.
func installWithHelm(flags ...string) error {
	args := append([]string{
		"upgrade", "--install", "sftp-operator", "../../charts/sftp-operator",
		"--namespace", operatorNamespace, "--create-namespace", "--wait", "--timeout", "2m",
		"--set", "image.repository=" + imageRepository(), "--set", "image.tag=" + imageTag(), "--set", "image.pullPolicy=Never",
	}, flags...)
	return command(3*time.Minute, os.Getenv("HELM"), args...)
}

func uninstallHelm() error {
	return command(3*time.Minute, os.Getenv("HELM"), "uninstall", "sftp-operator", "--namespace", operatorNamespace, "--wait", "--ignore-not-found")
}

// command runs a program; if it fails, the error includes its output.
func command(limit time.Duration, name string, args ...string) error {
	_, err := output(limit, name, args...)
	return err
}

func output(limit time.Duration, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
	}
	return string(out), nil
}

// kubectl runs kubectl and returns its output, whether it failed or not.
func kubectl(args ...string) (string, error) {
	return output(2*time.Minute, os.Getenv("KUBECTL"), args...)
}

func envOr(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}
