package crd

import (
	"io/fs"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"
)

// definitions returns the CustomResourceDefinitions by their kinds.
func definitions(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	files, err := fs.Glob(Bases, "bases/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, f := range files {
		data, err := Bases.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		def := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, def); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out[def.Spec.Names.Kind] = def
	}
	if len(out) != 3 {
		t.Fatalf("%d kinds, want 3", len(out))
	}
	return out
}

// TestInstallable runs what the API server checks of a CustomResourceDefinition, the estimated cost of the rules
// included. test/cel installs them on a real one; this test shows within a second which rule is too expensive.
func TestInstallable(t *testing.T) {
	for kind, def := range definitions(t) {
		def.Status.StoredVersions = []string{def.Spec.Versions[0].Name}
		apiextensionsv1.SetDefaults_CustomResourceDefinition(def)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&def.Spec)
		internal := &apiextensions.CustomResourceDefinition{}
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(def, internal, nil); err != nil {
			t.Fatal(err)
		}
		for _, err := range validation.ValidateCustomResourceDefinition(t.Context(), internal) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestVersionsHaveOneSchema holds the rule of docs/api-versions.md: without a conversion webhook, versions of a kind differ
// only in their names.
func TestVersionsHaveOneSchema(t *testing.T) {
	for kind, def := range definitions(t) {
		if c := def.Spec.Conversion; c != nil && c.Strategy != apiextensionsv1.NoneConverter {
			t.Errorf("%s is converted by %s", kind, c.Strategy)
		}
		for _, v := range def.Spec.Versions[1:] {
			if !equality.Semantic.DeepEqual(v.Schema, def.Spec.Versions[0].Schema) {
				t.Errorf("the schemas of %s %s and %s differ", kind, v.Name, def.Spec.Versions[0].Name)
			}
		}
	}
}

// TestNamesAreBounded: the schemas bound metadata.name. API servers before 1.37 do not do so themselves, and refuse the CRDs for
// the cost of rules that use the name (`make test-oldest`).
func TestNamesAreBounded(t *testing.T) {
	for kind, def := range definitions(t) {
		for _, v := range def.Spec.Versions {
			metadata := v.Schema.OpenAPIV3Schema.Properties["metadata"]
			for _, name := range []string{"name", "generateName"} { // without both, API servers use neither
				if p := metadata.Properties[name]; p.Type != "string" || p.MaxLength == nil {
					t.Errorf("%s %s: metadata.%s is %+v", kind, v.Name, name, p)
				}
			}
		}
	}
}
