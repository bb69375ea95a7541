// Package cel tests the API's schema and rules on a real API server. Each kind has a valid base object; a case changes it
// with a patch and specifies the API server's answer: this is the list of mistakes that kubectl apply reports to a tenant,
// with the exact messages.
package cel

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/test/apiserver"
)

var (
	// api talks to the API server as kubectl does: an unknown field is an error.
	api client.Client
	// server is its configuration.
	server *rest.Config
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	env, err := apiserver.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer env.Stop()
	server = env.Config
	c, err := client.New(server, client.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	api = client.WithFieldValidation(c, metav1.FieldValidationStrict)
	return m.Run()
}

// creation is an object to be created: the base with a merge patch in YAML.
type creation struct {
	name  string
	patch string
	// want is part of the API server's answer; empty means that it accepts the object.
	want string
}

// update is a change to an existing object.
type update struct {
	name string
	// from and to are merge patches of the base: the existing object, and its new version.
	from, to string
	want     string
}

func testCreations(t *testing.T, base string, cases []creation) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := api.Create(t.Context(), patched(t, base, c.patch), client.DryRunAll)
			check(t, err, c.want)
		})
	}
}

func testUpdates(t *testing.T, base string, cases []update) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := patched(t, base, c.from)
			if err := api.Create(t.Context(), o); err != nil {
				t.Fatalf("create the object to change: %v", err)
			}
			changed := patched(t, base, c.to)
			changed.SetResourceVersion(o.GetResourceVersion())
			err := api.Update(t.Context(), changed, client.DryRunAll)
			check(t, err, c.want)
			if err := api.Delete(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func check(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused, want it accepted: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted, want it refused with %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("refused with\n\t%v\nwant\n\t%s", err, want)
	case err != nil:
		t.Logf("%v", err) // go test -v prints what a tenant reads
	}
}

// created returns an object with the API server's defaults.
func created(t *testing.T, base, patch string) *unstructured.Unstructured {
	t.Helper()
	o := patched(t, base, patch)
	if err := api.Create(t.Context(), o, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	return o
}

func patched(t *testing.T, base, patch string) *unstructured.Unstructured {
	t.Helper()
	return &unstructured.Unstructured{Object: merge(parse(t, base), parse(t, patch))}
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return out
}

// merge applies a JSON merge patch (RFC 7396): maps are merged, null removes, and anything else is replaced.
func merge(into, patch map[string]any) map[string]any {
	out := maps.Clone(into)
	for k, v := range patch {
		p, isMap := v.(map[string]any)
		old, wasMap := out[k].(map[string]any)
		switch {
		case v == nil:
			delete(out, k)
		case isMap && wasMap:
			out[k] = merge(old, p)
		default:
			out[k] = v
		}
	}
	return out
}
