package chart

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// object is a manifest.
type object = map[string]any

// parse splits a stream of manifests.
func parse(t *testing.T, stream string) []object {
	t.Helper()
	var objects []object
	for _, document := range regexp.MustCompile(`(?m)^---$`).Split(stream, -1) {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if o != nil {
			objects = append(objects, o)
		}
	}
	return objects
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// metadata returns a manifest's metadata.
func metadata(o object) object {
	m, _ := o["metadata"].(object)
	return m
}

func TestLint(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, input := range inputs {
		if out, err := run(t, "lint", "--strict", "--kube-version", "1.34.0", "--values", input, chartDir); err != nil {
			t.Errorf("%s: %v\n%s", input, err, out)
		}
	}
}

// TestSchemaRefuses: values.schema.json refuses values that make no sense.
func TestSchemaRefuses(t *testing.T) {
	for _, setting := range []string{
		"replicasCount=2",                                // a key that does not exist
		"image.repo=x",                                   // nor one level down
		"replicaCount=many",                              // another type
		"logLevel=loud",                                  // not among the choices
		"image.digest=latest",                            // not a digest
		"scopedNamespaces={Team_A}",                      // not a namespace
		"adaptSecurityContext=perhaps",                   // not among the choices
		"serviceMonitor.interval=1 minute",               // not a duration
		"listeners.bounds.serviceType={ClusterIP}",       // not a valid bound
		"listeners.bounds.serviceTypes={ExternalName}",   // not a type that listeners can have
		"listeners.bounds.annotations={a*b}",             // a star in the middle
		"listeners.bounds.legacyMaxDays=0",               // not a day
		"listeners.defaults.imagePullPolicy=Sometimes",   // not a policy
		"listeners.defaults.tolerations[0].effect=Evict", // not an effect
		"metrics.service.ipFamilies={IPv5}",              // not a family
		"readinessProbe.path=/other",                     // times only
	} {
		out, err := run(t, "template", release, chartDir, "--kube-version", "1.34.0", "--set", setting)
		if err == nil {
			t.Errorf("--set %q was accepted", setting)
		} else if !strings.Contains(out, "schema") {
			t.Errorf("--set %q failed, but not because of the schema:\n%s", setting, out)
		}
	}
}

// TestCopies: the chart's copies of generated files are up to date.
func TestCopies(t *testing.T) {
	sources, err := filepath.Glob(root + "/config/crd/bases/*.yaml")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	pairs := map[string]string{
		root + "/config/rbac/role.yaml":                  chartDir + "/files/manager-role.yaml",
		root + "/config/prometheus/prometheus_rule.yaml": chartDir + "/files/prometheus-rule.yaml",
		root + "/config/prometheus/dashboard.json":       chartDir + "/files/dashboard.json",
	}
	for _, source := range sources {
		pairs[source] = filepath.Join(chartDir, "files/crds", filepath.Base(source))
	}
	for source, duplicate := range pairs {
		if read(t, source) != read(t, duplicate) {
			t.Errorf("%s is not a copy of %s: make generate", duplicate, source)
		}
	}
	copies, err := filepath.Glob(chartDir + "/files/crds/*")
	if err != nil || len(copies) != len(sources) {
		t.Errorf("%d copies of %d CRDs: %v", len(copies), len(sources), err)
	}
}

// TestCRDs: apart from labels and the annotation that keeps them, the chart installs the CRDs unchanged.
func TestCRDs(t *testing.T) {
	for _, keep := range []bool{true, false} {
		args := []string{"--show-only", "templates/crds.yaml"}
		if !keep {
			args = append(args, "--set", "crds.keep=false")
		}
		crds := parse(t, render(t, args...))
		if len(crds) != 3 {
			t.Fatalf("%d CRDs, want 3", len(crds))
		}
		for _, crd := range crds {
			name, _ := metadata(crd)["name"].(string)
			plural, _, _ := strings.Cut(name, ".")
			annotations, _ := metadata(crd)["annotations"].(object)
			if _, kept := annotations["helm.sh/resource-policy"]; kept != keep {
				t.Errorf("%s: has helm.sh/resource-policy: %t, want %t", name, kept, keep)
			}
			delete(annotations, "helm.sh/resource-policy")
			delete(metadata(crd), "labels")
			base := parse(t, read(t, root+"/config/crd/bases/sftp-operator.io_"+plural+".yaml"))
			if len(base) != 1 || !reflect.DeepEqual(crd, base[0]) {
				t.Errorf("%s differs from config/crd/bases", name)
			}
		}
	}
}

// rules collects the rules of roles by a short name, e.g. sftpuser-viewer, with the labels that aggregate them.
func rules(t *testing.T, stream string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, o := range parse(t, stream) {
		if o["kind"] != "ClusterRole" {
			continue
		}
		name, _ := metadata(o)["name"].(string)
		short := strings.TrimSuffix(strings.TrimPrefix(name, release+"-"), "-role")
		if !strings.HasPrefix(short, "sftp") || short == release {
			continue
		}
		labels, _ := metadata(o)["labels"].(object)
		maps.DeleteFunc(labels, func(key string, _ any) bool { return !strings.HasPrefix(key, "rbac.") })
		text, err := yaml.Marshal(object{"labels": labels, "rules": o["rules"]})
		if err != nil {
			t.Fatal(err)
		}
		found[short] = string(text)
	}
	return found
}

// TestTenantRoles: chart and kustomize give tenants the same permissions.
func TestTenantRoles(t *testing.T) {
	inChart := rules(t, render(t, "--show-only", "templates/aggregated-roles.yaml"))
	files, err := filepath.Glob(root + "/config/rbac/sftp*_role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var stream strings.Builder
	for _, file := range files {
		stream.WriteString("---\n" + read(t, file))
	}
	inKustomize := rules(t, stream.String())
	if len(inKustomize) != 9 {
		t.Errorf("%d roles in config/rbac, want 9: %v", len(inKustomize), slices.Sorted(maps.Keys(inKustomize)))
	}
	if !reflect.DeepEqual(inChart, inKustomize) {
		t.Errorf("in the chart:\n%v\nin config/rbac:\n%v", inChart, inKustomize)
	}
}

// TestScopedRights: with scopedNamespaces, only Namespaces can be read cluster-wide, and no permission is lost.
func TestScopedRights(t *testing.T) {
	var cluster, namespaced []any
	for _, o := range parse(t, render(t, "--set", "scopedNamespaces={team-a}", "--show-only", "templates/role.yaml")) {
		r, _ := o["rules"].([]any)
		switch o["kind"] {
		case "ClusterRole":
			cluster = append(cluster, r...)
		case "Role":
			if metadata(o)["namespace"] != "team-a" {
				t.Errorf("a Role in %v", metadata(o)["namespace"])
			}
			namespaced = append(namespaced, r...)
		}
	}
	if len(cluster) != 1 || !reflect.DeepEqual(cluster[0].(object)["resources"], []any{"namespaces"}) {
		t.Errorf("cluster-wide permissions: %v", cluster)
	}
	all := parse(t, read(t, root+"/config/rbac/role.yaml"))[0]["rules"].([]any)
	if got, want := len(rights(namespaced))+len(rights(cluster)), len(rights(all)); got != want {
		t.Errorf("%d permissions in both roles, want %d", got, want)
	}
	if !maps.Equal(merged(rights(namespaced), rights(cluster)), rights(all)) {
		t.Error("the permissions differ from config/rbac/role.yaml")
	}
}

// rights expands rules to one entry for each group, resource and verb.
func rights(rules []any) map[string]bool {
	found := map[string]bool{}
	for _, rule := range rules {
		r := rule.(object)
		for _, group := range r["apiGroups"].([]any) {
			for _, resource := range r["resources"].([]any) {
				for _, verb := range r["verbs"].([]any) {
					found[group.(string)+"/"+resource.(string)+" "+verb.(string)] = true
				}
			}
		}
	}
	return found
}

func merged(a, b map[string]bool) map[string]bool {
	m := maps.Clone(a)
	maps.Copy(m, b)
	return m
}
