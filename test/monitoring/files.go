// Package monitoring tests the means of watching endpoints: metrics, alerts, their runbooks and the dashboard. It checks the
// scrapes of test/operator and test/e2e.
package monitoring

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

const root = "../.."

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type group struct {
	Name  string `json:"name"`
	Rules []rule `json:"rules"`
}

type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func readRules(t testing.TB) []group {
	t.Helper()
	var object struct {
		Spec struct {
			Groups []group `json:"groups"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(read(t, "config/prometheus/prometheus_rule.yaml"), &object); err != nil {
		t.Fatal(err)
	}
	if len(object.Spec.Groups) == 0 {
		t.Fatal("there are no rules")
	}
	return object.Spec.Groups
}

// promtool runs Prometheus' own tool, which hack/install-packages.sh unpacks.
func promtool(t testing.TB, dir string, input []byte, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		cache := os.Getenv("SFTP_OPERATOR_CACHE")
		if cache == "" {
			user, err := os.UserCacheDir()
			if err != nil {
				t.Fatal(err)
			}
			cache = filepath.Join(user, "sftp-operator")
		}
		path = filepath.Join(cache, "prometheus", "usr", "bin", "promtool")
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("promtool is missing: %v", err)
		}
		t.Skip("promtool is missing; hack/install-packages.sh unpacks it")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %q: %v: %s", args, err, out)
	}
}

func runbook(alert string) string {
	return "https://github.com/sftp-operator/sftp-operator/blob/main/docs/runbooks.md#" + string(bytes.ToLower([]byte(alert)))
}
