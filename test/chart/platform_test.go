package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/controllers/platform"
)

// policyOf returns the platform policy for listeners that the chart renders, "" for none.
func policyOf(t *testing.T, args ...string) string {
	t.Helper()
	for _, o := range parse(t, render(t, append(args, "--set", "crds.enabled=false")...)) {
		data, _ := o["data"].(object)
		if text, ok := data["policy.yaml"].(string); ok && o["kind"] == "ConfigMap" {
			return text
		}
	}
	return ""
}

// TestPlatformPolicy: the operator reads every field that the chart writes.
func TestPlatformPolicy(t *testing.T) {
	p, err := platform.Parse([]byte(policyOf(t, "--values", "testdata/everything.values.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	if p.Defaults.Resources.Limits.Memory.String() != "512Mi" || p.Bounds.Schedulers == nil || len(p.Bounds.Schedulers) != 0 || *p.Bounds.LegacyMaxDays != 90 {
		t.Errorf("read as %+v", p)
	}
	if got := policyOf(t); got != "" {
		t.Errorf("there is a policy by default: %s", got)
	}
}

// TestPlatformPolicyIsInTheSchema: the values have every field of the policy, and no others.
func TestPlatformPolicyIsInTheSchema(t *testing.T) {
	type schema struct {
		Properties map[string]*schema `json:"properties"`
	}
	var s schema
	if err := json.Unmarshal([]byte(read(t, root+"/charts/sftp-operator/values.schema.json")), &s); err != nil {
		t.Fatal(err)
	}
	listeners := s.Properties["listeners"]
	for name, part := range map[string]struct {
		have *schema
		of   any
	}{
		"defaults":      {listeners.Properties["defaults"], platform.Defaults{}},
		"bounds":        {listeners.Properties["bounds"], platform.Bounds{}},
		"bounds.events": {listeners.Properties["bounds"].Properties["events"], platform.EventBounds{}},
	} {
		want := map[string]bool{}
		for f := range reflect.TypeOf(part.of).Fields() {
			field, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			want[field] = true
			if part.have == nil || part.have.Properties[field] == nil {
				t.Errorf("the values have no listeners.%s.%s", name, field)
			}
		}
		if part.have != nil && len(part.have.Properties) != len(want) {
			t.Errorf("the values have %d fields of listeners.%s, and the policy %d", len(part.have.Properties), name, len(want))
		}
	}
}

// TestPlatformPolicyOnOpenShift: listeners leave their group to the platform where the operator does, unless the values say
// otherwise.
func TestPlatformPolicyOnOpenShift(t *testing.T) {
	for want, args := range map[string][]string{
		"Platform": {"--api-versions", "security.openshift.io/v1"},
		"Fixed":    {"--api-versions", "security.openshift.io/v1", "--set", "listeners.defaults.fsGroupPolicy=Fixed"},
		"":         {"--api-versions", "security.openshift.io/v1", "--set", "adaptSecurityContext=disabled"},
	} {
		p, err := platform.Parse([]byte(policyOf(t, args...)))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(p.Defaults.FSGroupPolicy); got != want {
			t.Errorf("%v: %q, want %q", args, got, want)
		}
	}
}

// TestPolicyRestartsNothing: the operator reads a changed policy again, so it must not be restarted. The ConfigMap is mounted as a
// directory, because the kubelet does not update a file that is mounted with subPath.
func TestPolicyRestartsNothing(t *testing.T) {
	pod := func(class string) string {
		return render(t, "--show-only", "templates/deployment.yaml", "--set", "listeners.defaults.storageClassName="+class)
	}
	if pod("a") != pod("b") || strings.Contains(pod("a"), "subPath") || !strings.Contains(pod("a"), "--platform-policy=/etc/sftp-operator/platform/policy.yaml") {
		t.Errorf("a changed policy restarts the operator, or does not reach it:\n%s", pod("a"))
	}
}

// TestRegistry: image.registry replaces the registry in the repository.
func TestRegistry(t *testing.T) {
	for want, args := range map[string][]string{
		"images.example.com/sftp-operator:v1":         {"image.repository=images.example.com/sftp-operator"},
		"mirror.example.com/sftp-operator:v1":         {"image.repository=images.example.com/sftp-operator", "global.imageRegistry=mirror.example.com"},
		"mirror.example.com:5000/a/sftp-operator:v1":  {"image.repository=localhost:80/a/sftp-operator", "image.registry=mirror.example.com:5000", "global.imageRegistry=b"},
		"mirror.example.com/cache/b/sftp-operator:v1": {"image.repository=b/sftp-operator", "image.registry=mirror.example.com/cache"},
	} {
		all := []string{"--show-only", "templates/deployment.yaml", "--set", "image.tag=v1"}
		for _, a := range args {
			all = append(all, "--set", a)
		}
		if got := render(t, all...); !strings.Contains(got, `image: "`+want+`"`) || !strings.Contains(got, "--daemon-image="+want+"\n") {
			t.Errorf("%v: want %s in\n%s", args, want, got)
		}
	}
}

// TestPolicyInDocs: the operator reads the example of docs/platform.md when it is used as the chart's values.
func TestPolicyInDocs(t *testing.T) {
	_, text, ok := strings.Cut(read(t, root+"/docs/platform.md"), "```yaml\n")
	values, _, closed := strings.Cut(text, "```")
	if !ok || !closed {
		t.Fatal("docs/platform.md has no values")
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	policy := policyOf(t, "--values", file)
	if p, err := platform.Parse([]byte(policy)); err != nil || policy == "" || len(p.Bounds.ServiceTypes) == 0 {
		t.Errorf("%v of %s", err, policy)
	}
}
