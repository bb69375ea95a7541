package cel

import (
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/config/crd"
)

// versionsGroup is the group of the copies of our CRDs, because those of the other tests must keep their versions.
const versionsGroup = "versions.sftp-operator.io"

// The versions of the copies.
const (
	oldVersion = "v1alpha1"
	newVersion = "v1beta1"
)

// TestNextVersion follows docs/api-versions.md with copies of the three CRDs, without a conversion webhook: the next version is
// served next to the current one, then stored, the objects are migrated, and the former version is removed.
func TestNextVersion(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(server, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	bases := map[string]string{"SFTPListener": validListener, "SFTPUser": validUser, "SFTPKey": validKey}
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil || len(files) != len(bases) {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		data, err := crd.Bases.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		def := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, def); err != nil {
			t.Fatal(err)
		}
		t.Run(def.Spec.Names.Kind, func(t *testing.T) { testNextVersion(t, c, def, bases[def.Spec.Names.Kind]) })
	}
}

func testNextVersion(t *testing.T, c client.Client, def *apiextensionsv1.CustomResourceDefinition, base string) {
	def.Spec.Group = versionsGroup
	def.Name = def.Spec.Names.Plural + "." + versionsGroup
	def.Spec.Names.ShortNames, def.Spec.Names.Categories = nil, nil
	if err := c.Create(t.Context(), def); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Delete(t.Context(), def) })
	v := versions{t: t, client: c, def: def, base: base}
	v.served(oldVersion)
	first := v.apply(oldVersion, "first")

	// 1. Both versions are served, with one schema; nothing else changes.
	v.change(func(spec *apiextensionsv1.CustomResourceDefinitionSpec) {
		next := *spec.Versions[0].DeepCopy()
		next.Name, next.Storage = newVersion, false
		spec.Versions = append(spec.Versions, next)
	})
	v.served(newVersion)
	v.same(first, newVersion, "first")
	v.same(v.apply(newVersion, "second"), oldVersion, "second")
	v.apply(newVersion, "first") // an author changes apiVersion, and nothing else

	// 2. The next version is stored. The former one cannot be removed before the objects are migrated.
	v.change(func(spec *apiextensionsv1.CustomResourceDefinitionSpec) {
		spec.Versions[0].Storage, spec.Versions[1].Storage = false, true
	})
	v.stored(oldVersion, newVersion)
	last := func(spec *apiextensionsv1.CustomResourceDefinitionSpec) { spec.Versions = spec.Versions[1:] }
	if err := v.try(last); err == nil || !strings.Contains(err.Error(), "status.storedVersions") {
		t.Errorf("a version with stored objects was removed: %v", err)
	}

	// 3. Each object is written once, and the list of stored versions is reduced.
	v.migrate()
	v.stored(newVersion)

	// 4. Clients that still use the former version are warned, and then it is removed.
	v.change(func(spec *apiextensionsv1.CustomResourceDefinitionSpec) { spec.Versions[0].Deprecated = true })
	v.change(last)
	v.gone(oldVersion)
	v.same(first, newVersion, "first")
	v.apply(newVersion, "second")
}

// versions is one kind during the migration.
type versions struct {
	t      *testing.T
	client client.Client
	def    *apiextensionsv1.CustomResourceDefinition
	base   string
}

func (v versions) object(version, name string) *unstructured.Unstructured {
	v.t.Helper()
	o := patched(v.t, v.base, `{metadata: {name: `+name+`}}`)
	o.SetAPIVersion(versionsGroup + "/" + version)
	return o
}

// apply applies an object with server-side apply, as GitOps tools do, and returns the result.
func (v versions) apply(version, name string) *unstructured.Unstructured {
	v.t.Helper()
	o := v.object(version, name)
	// A version that was just added is not served at once.
	v.eventually(func() error {
		return v.client.Apply(v.t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("author"))
	})
	return v.get(version, name)
}

func (v versions) get(version, name string) *unstructured.Unstructured {
	v.t.Helper()
	o := v.object(version, name)
	v.eventually(func() error { return v.client.Get(v.t.Context(), client.ObjectKeyFromObject(o), o) })
	return o
}

// same checks that an object is the same in a different version.
func (v versions) same(o *unstructured.Unstructured, version, name string) {
	v.t.Helper()
	other := v.get(version, name)
	for _, field := range []string{"spec", "status"} {
		if !reflect.DeepEqual(other.Object[field], o.Object[field]) {
			v.t.Errorf("%s of %s is %v in %s, want %v", field, name, other.Object[field], version, o.Object[field])
		}
	}
	if other.GetUID() != o.GetUID() {
		v.t.Errorf("%s is a different object in %s", name, version)
	}
}

// try changes the definition.
func (v versions) try(edit func(*apiextensionsv1.CustomResourceDefinitionSpec)) error {
	if err := v.client.Get(v.t.Context(), client.ObjectKeyFromObject(v.def), v.def); err != nil {
		return err
	}
	edit(&v.def.Spec)
	return v.client.Update(v.t.Context(), v.def)
}

func (v versions) change(edit func(*apiextensionsv1.CustomResourceDefinitionSpec)) {
	v.t.Helper()
	if err := v.try(edit); err != nil {
		v.t.Fatal(err)
	}
}

// stored waits for the versions in which objects may be stored.
func (v versions) stored(want ...string) {
	v.t.Helper()
	v.eventually(func() error {
		if err := v.client.Get(v.t.Context(), client.ObjectKeyFromObject(v.def), v.def); err != nil {
			return err
		}
		if !slices.Equal(v.def.Status.StoredVersions, want) {
			return fmt.Errorf("stored versions are %v, want %v", v.def.Status.StoredVersions, want)
		}
		return nil
	})
}

// migrate rewrites each object unchanged, which stores it in the current storage version.
func (v versions) migrate() {
	v.t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(versionsGroup + "/" + newVersion)
	list.SetKind(v.def.Spec.Names.ListKind)
	if err := v.client.List(v.t.Context(), list); err != nil || len(list.Items) != 2 {
		v.t.Fatalf("%d objects: %v", len(list.Items), err)
	}
	for i := range list.Items {
		before := list.Items[i].GetResourceVersion()
		if err := v.client.Update(v.t.Context(), &list.Items[i]); err != nil {
			v.t.Fatal(err)
		}
		if list.Items[i].GetResourceVersion() == before {
			v.t.Errorf("%s was not written", list.Items[i].GetName())
		}
	}
	if err := v.client.Get(v.t.Context(), client.ObjectKeyFromObject(v.def), v.def); err != nil {
		v.t.Fatal(err)
	}
	v.def.Status.StoredVersions = []string{newVersion}
	if err := v.client.Status().Update(v.t.Context(), v.def); err != nil {
		v.t.Fatal(err)
	}
}

// served waits until a version can be used.
func (v versions) served(version string) {
	v.t.Helper()
	v.eventually(func() error {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(versionsGroup + "/" + version)
		list.SetKind(v.def.Spec.Names.ListKind)
		return v.client.List(v.t.Context(), list)
	})
}

// gone waits until a version is no longer served.
func (v versions) gone(version string) {
	v.t.Helper()
	v.eventually(func() error {
		fresh, err := client.New(server, client.Options{Scheme: v.client.Scheme()}) // that remembers no version
		if err != nil {
			return err
		}
		o := v.object(version, "first")
		if err := fresh.Get(v.t.Context(), client.ObjectKeyFromObject(o), o); !meta.IsNoMatchError(err) {
			return fmt.Errorf("%s is still served: %w", version, err)
		}
		return nil
	})
}

func (v versions) eventually(try func() error) {
	v.t.Helper()
	var err error
	for range 300 {
		if err = try(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	v.t.Fatal(err)
}
