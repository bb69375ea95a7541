package docs

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// field is a field of a CRD's spec, by its path: SFTPListener.spec.volumes[].name.
type field struct {
	apiextensions.JSONSchemaProps

	required bool
}

// fieldsOf returns the fields of the specs of all CRDs.
func fieldsOf(t *testing.T) map[string]field {
	t.Helper()
	paths, err := filepath.Glob(root + "/config/crd/bases/*.yaml")
	if err != nil || len(paths) != 3 {
		t.Fatalf("%v: %v", paths, err)
	}
	fields := map[string]field{}
	var walk func(path string, s *apiextensions.JSONSchemaProps)
	walk = func(path string, s *apiextensions.JSONSchemaProps) {
		if s.Items != nil {
			walk(path+"[]", s.Items.Schema)
		}
		for name, p := range s.Properties {
			p.Description = strings.Join(strings.Fields(p.Description), " ")
			fields[path+"."+name] = field{p, slices.Contains(s.Required, name)}
			walk(path+"."+name, &p)
		}
	}
	for _, path := range paths {
		var crd apiextensions.CustomResourceDefinition
		if err := yaml.UnmarshalStrict([]byte(read(t, path)), &crd); err != nil {
			t.Fatal(err)
		}
		spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		walk(crd.Spec.Names.Kind+".spec", &spec)
	}
	if len(fields) < 200 {
		t.Fatalf("only %d fields found", len(fields))
	}
	return fields
}

// sayNoDefault has the optional fields whose description says in other words what happens without them.
var sayNoDefault = map[string]string{
	"SFTPKey.spec.rotation.periodSeconds": "there is no default",
	"SFTPListener.spec.service.nodePort":  "assigns one when unset",
}

// TestDescriptionsHaveDefaults: the output of kubectl explain says for each field what happens without it.
func TestDescriptionsHaveDefaults(t *testing.T) {
	fields := fieldsOf(t)
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		f := fields[path]
		if f.Default != nil {
			if want := "Default " + sentence(t, f.Default.Raw); !regexp.MustCompile(regexp.QuoteMeta(want) + `([.,; ]|$)`).MatchString(f.Description) {
				t.Errorf("%s: the description does not say %q: %s", path, want, f.Description)
			}
			continue
		}
		scalar := f.Type == "integer" || f.Type == "boolean" || len(f.Enum) > 0
		says := strings.Contains(f.Description, "Default")
		if other := sayNoDefault[path]; other != "" {
			says = strings.Contains(f.Description, other)
		}
		if scalar && !f.required && !says {
			t.Errorf("%s: the description does not say what is used if it is not set: %s", path, f.Description)
		}
	}
}

// sentence returns a default as descriptions write it.
func sentence(t *testing.T, raw []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if list, ok := v.([]any); ok {
		return strings.ReplaceAll(strings.Trim(fmt.Sprint(list), "[]"), " ", " and ")
	}
	return fmt.Sprint(v)
}

var (
	statedDefault = regexp.MustCompile(`Default (\d+)\b`)
	statedRange   = regexp.MustCompile(`from (\d+)[^.;]* to (\d+)`)
	statedMost    = regexp.MustCompile(`[Aa]t most (\d+) (?:entries|items)`)
)

// TestDescriptionsHaveLimits: numbers in the descriptions agree with the schema.
func TestDescriptionsHaveLimits(t *testing.T) {
	stated := 0
	for path, f := range fieldsOf(t) {
		if m := statedDefault.FindStringSubmatch(f.Description); m != nil && f.Type == "integer" {
			stated++
			n, err := strconv.ParseFloat(m[1], 64)
			if err != nil || f.Minimum == nil || f.Maximum == nil || n < *f.Minimum || n > *f.Maximum {
				t.Errorf("%s: the default %s is not in the schema's range, or it has none (%v)", path, m[1], err)
			}
		}
		if m := statedRange.FindStringSubmatch(f.Description); m != nil && f.Type == "integer" {
			stated++
			if f.Minimum == nil || f.Maximum == nil || m[1] != number(*f.Minimum) || m[2] != number(*f.Maximum) {
				t.Errorf("%s: the description says %s, which is not the schema's range", path, m[0])
			}
		}
		if m := statedMost.FindStringSubmatch(f.Description); m != nil {
			stated++
			if f.MaxItems == nil || m[1] != strconv.FormatInt(*f.MaxItems, 10) {
				t.Errorf("%s: the description says %s, which is not the schema's limit", path, m[0])
			}
		}
	}
	if stated < 25 {
		t.Errorf("only %d numbers found", stated)
	}
}

func number(limit float64) string { return strconv.FormatFloat(limit, 'f', -1, 64) }

// inConfiguration has the settings that the operator fills in when it writes the daemon's configuration.
var inConfiguration = map[string]string{
	"authentication.maxAuthTries": "authentication.maxTries", "authentication.loginGraceSeconds": "authentication.loginGraceSeconds",
	"limits.maxConnections": "limits.maxConnections", "limits.maxConnectionsPerUser": "limits.maxConnectionsPerUser",
	"limits.idleTimeoutSeconds": "limits.idleTimeoutSeconds", "shutdown.readinessDelaySeconds": "shutdown.readinessDelaySeconds",
	"shutdown.drainTimeoutSeconds": "shutdown.drainTimeoutSeconds",
}

// TestDefaultsInConfiguration: pods get the defaults that descriptions state.
func TestDefaultsInConfiguration(t *testing.T) {
	l := &v1alpha1.SFTPListener{}
	l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "data"}}
	data, err := json.Marshal(render.Settings(l, render.Trust{}, render.PodVolumePath))
	if err != nil {
		t.Fatal(err)
	}
	fields := fieldsOf(t)
	for path, setting := range inConfiguration {
		var value any
		if err := json.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		for name := range strings.SplitSeq(setting, ".") {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		m := statedDefault.FindStringSubmatch(fields["SFTPListener.spec."+path].Description)
		if len(m) == 0 || m[1] != fmt.Sprint(value) {
			t.Errorf("spec.%s: the description says %v, and pods get %v", path, m, value)
		}
	}
}
