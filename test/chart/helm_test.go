// Package chart tests the Helm chart by what the helm program renders from it.
package chart

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	root      = "../.."
	chartDir  = root + "/charts/sftp-operator"
	release   = "sftp-operator"
	namespace = "sftp-operator-system"
)

// helm returns the program's path: from $HELM, as make sets it, or from the search path. If it is missing, the tests are
// skipped on a developer's machine and fail in CI.
func helm(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("HELM"); path != "" {
		return path
	}
	if path, err := exec.LookPath("helm"); err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatal("helm is missing: set HELM, for example to the output of hack/tools/run.sh --path helm")
	}
	t.Skip(`helm is missing: HELM="$(hack/tools/run.sh --path helm)" go test ./test/chart`)
	return ""
}

// run runs helm and returns its standard output, or its error output.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(helm(t), args...)
	// Without the machine's own Helm setup: no repositories, no plugins, no cluster.
	home := t.TempDir()
	cmd.Env = append(os.Environ(),
		"HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home,
		"KUBECONFIG="+filepath.Join(home, "none"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stderr.String(), err
	}
	return stdout.String(), nil
}

// render renders the chart for the oldest version of Kubernetes that it allows.
func render(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t, append([]string{
		"template", release, chartDir, "--namespace", namespace, "--kube-version", "1.34.0",
	}, args...)...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, out)
	}
	return out
}
