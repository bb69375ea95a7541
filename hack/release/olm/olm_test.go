package olm

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/hack/release/identity"
)

const installed = `apiVersion: v1
kind: Namespace
metadata: {name: ns}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: sftpusers.sftp-operator.io}
spec:
  names: {kind: SFTPUser}
  versions: [{name: v1alpha1}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: account, namespace: ns}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: manager}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: viewer}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: manager}
roleRef: {kind: ClusterRole, name: manager}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: manager, namespace: ns, labels: {a: b}}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers: [{name: manager, image: "example.org/i@sha256:12"}]
`

func TestBundle(t *testing.T) {
	files, err := Bundle(Input{
		Release: identity.Release{Version: "v1.2.3", Time: time.Unix(0, 0).UTC()}, Install: []byte(installed),
		Examples: []byte("kind: SFTPUser\nmetadata: {name: acme}\n---\nkind: Namespace\nmetadata: {name: x}\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	want := "manifests/sftp-operator.clusterserviceversion.yaml metadata/annotations.yaml tests/scorecard/config.yaml bundle.Dockerfile " +
		"manifests/sftpusers.sftp-operator.io_customresourcedefinition.yaml manifests/viewer_clusterrole.yaml"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("files:\n%s\nwant:\n%s", got, want)
	}
	var csv struct {
		Metadata struct{ Annotations map[string]string }
		Spec     struct {
			Version string
			Install struct {
				Spec struct {
					ClusterPermissions []struct {
						ServiceAccountName string
						Rules              []any
					}
					Deployments []struct{ Name string }
				}
			}
			RelatedImages []struct{ Image string }
		}
	}
	if err := yaml.Unmarshal(files[0].Data, &csv); err != nil {
		t.Fatal(err)
	}
	spec := csv.Spec.Install.Spec
	if csv.Spec.Version != "1.2.3" || csv.Spec.RelatedImages[0].Image != "example.org/i@sha256:12" || spec.Deployments[0].Name != "manager" {
		t.Errorf("spec: %+v", csv.Spec)
	}
	if p := spec.ClusterPermissions[0]; p.ServiceAccountName != "account" || len(p.Rules) != 1 {
		t.Errorf("permissions: %+v", p)
	}
	var examples []map[string]any
	if err := json.Unmarshal([]byte(csv.Metadata.Annotations["alm-examples"]), &examples); err != nil || len(examples) != 1 {
		t.Errorf("examples: %v, %v", examples, err)
	}
}

func TestBundleRefuses(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"a kind without a place": func(s string) string { return s + "---\nkind: Ingress\nmetadata: {name: x}\n" },
		"a binding of no role": func(s string) string {
			return strings.Replace(s, "name: manager}\nrules", "name: other}\nrules", 1)
		},
		"a Deployment without a selector": func(s string) string {
			return strings.Replace(s, "  selector: {matchLabels: {a: b}}\n", "", 1)
		},
		"a field that no pod has": func(s string) string {
			return strings.Replace(s, "containers: [", "hostUser: false\n      containers: [", 1)
		},
		"no Deployment": func(s string) string { return strings.Replace(s, "kind: Deployment", "kind: Service", 1) },
	} {
		if _, err := Bundle(Input{Install: []byte(change(installed))}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
