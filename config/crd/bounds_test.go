package crd

import (
	"maps"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// freeText are the strings of specs that may have any content, and why that is harmless.
var freeText = map[string]string{
	"SFTPListener.spec.revokedKeys[].certificate.keyID": "a CA calls its certificates what it likes, and each of them must be revocable",
	"SFTPListener.spec.service.annotations{}":           "a controller defines what its annotation is; their total size is bounded",
	"SFTPListener.spec.events.sinks[].filter":           "CEL cannot check CEL; the operator compiles it, bounded, and holds a sink whose filter is invalid",
	"SFTPListener.spec.infrastructure.annotations{}":    "a controller defines what its annotation is; their total size is bounded",
}

// nothingToSet is an object that is present or not. Whatever is in it is dropped.
const nothingToSet = "SFTPListener.spec.uploads.receipts"

// TestBounds: every string of a spec has a format, every list and map a length, every number a range; what the operator
// writes into a status is bounded. A field without a bound once let one object of one tenant stop a listener for
// everyone.
func TestBounds(t *testing.T) {
	used := map[string]bool{}
	for kind, def := range definitions(t) {
		for _, v := range def.Spec.Versions {
			for _, part := range []string{"spec", "status"} {
				w := walk{t: t, status: part == "status", used: used}
				w.schema(kind+"."+part, v.Schema.OpenAPIV3Schema.Properties[part])
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(freeText)) {
		if !used[path] {
			t.Errorf("%s is not there, or needs no exception", path)
		}
	}
}

// TestDefaultsAreExplained: kubectl explain shows descriptions and no defaults.
func TestDefaultsAreExplained(t *testing.T) {
	for kind, def := range definitions(t) {
		for _, v := range def.Spec.Versions {
			explained(t, kind+".spec", v.Schema.OpenAPIV3Schema.Properties["spec"])
		}
	}
}

func explained(t *testing.T, path string, s apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	for name, p := range s.Properties {
		explained(t, path+"."+name, p)
	}
	if s.Items != nil {
		explained(t, path+"[]", *s.Items.Schema)
	}
	if s.Default == nil {
		return
	}
	said := "Default " + string(s.Default.Raw) + "."
	switch s.Type {
	case "object":
		return // its fields say what they are
	case "string", "array":
		said = strings.NewReplacer(`"`, "", "[", "", "]", "", ",", " and ").Replace(said)
	}
	if !strings.Contains(strings.Join(strings.Fields(s.Description), " "), said) {
		t.Errorf("the description of %s does not say %q", path, said)
	}
}

// walk goes through a part of a schema.
type walk struct {
	t *testing.T
	// status: the operator writes it, so that its strings need no format.
	status bool
	// used are the paths of freeText that there are.
	used map[string]bool
}

func (w walk) schema(path string, s apiextensionsv1.JSONSchemaProps) {
	w.t.Helper()
	switch {
	case s.XIntOrString:
		w.want(path, "a maxLength", s.MaxLength != nil)
		w.want(path, "a rule for its size", len(s.XValidations) > 0)
	case s.Type == "object" && s.AdditionalProperties != nil:
		w.want(path, "maxProperties", s.MaxProperties != nil)
		w.want(path, "a rule for its keys", slices.ContainsFunc(s.XValidations, func(r apiextensionsv1.ValidationRule) bool {
			return strings.HasPrefix(r.Rule, "self.all(k, k.matches(")
		}))
		w.schema(path+"{}", *s.AdditionalProperties.Schema)
	case s.Type == "object":
		w.want(path, "fields of its own", (len(s.Properties) > 0 || path == nothingToSet) && s.XPreserveUnknownFields == nil)
		for name, p := range s.Properties {
			w.schema(path+"."+name, p)
		}
	case s.Type == "array":
		w.want(path, "maxItems", s.MaxItems != nil)
		w.schema(path+"[]", *s.Items.Schema)
	case s.Type == "string":
		w.text(path, s)
	case s.Type == "integer" || s.Type == "number":
		w.want(path, "a minimum", s.Minimum != nil)
		w.want(path, "a maximum", w.status || s.Maximum != nil)
	case s.Type == "boolean":
	default:
		w.t.Errorf("%s is of type %q, which this test does not know", path, s.Type)
	}
}

func (w walk) text(path string, s apiextensionsv1.JSONSchemaProps) {
	w.t.Helper()
	if len(s.Enum) > 0 || s.Format == "date-time" {
		return
	}
	w.want(path, "a maxLength", s.MaxLength != nil)
	w.want(path, "a minLength, since an empty string is another way to say nothing", s.MinLength != nil || strings.Contains(path, ".conditions[]."))
	if s.Pattern != "" || len(s.XValidations) > 0 || w.status {
		return
	}
	w.used[path] = freeText[path] != ""
	w.want(path, "a pattern, an enum, a rule, or a reason in freeText", w.used[path])
}

func (w walk) want(path, what string, has bool) {
	w.t.Helper()
	if !has {
		w.t.Errorf("%s should have %s", path, what)
	}
}
