// Package offline runs the operator's decisions on manifest files, without a cluster: to
// check them in a pipeline, and to run the daemon from them anywhere.
package offline

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
)

// Manifests are the objects that the decisions need.
type Manifests struct {
	Listeners  []v1alpha1.SFTPListener
	Users      []v1alpha1.SFTPUser
	Keys       map[types.NamespacedName]*v1alpha1.SFTPKey
	Secrets    map[types.NamespacedName]*corev1.Secret
	Namespaces map[string]map[string]string
	// Platform is the platform team's policy for all listeners; nil for none.
	Platform *platform.Policy
	// Refused are messages about objects that the API server would not accept.
	Refused []string
	// uids are the UIDs of objects that have one.
	uids map[types.UID]bool
}

// Read reads manifests from files and from the *.yaml, *.yml and *.json files of
// directories, recursively; "-" is standard input. Kinds that do not matter are skipped.
func Read(ctx context.Context, paths []string) (*Manifests, error) {
	kinds, err := schemas()
	if err != nil {
		return nil, err
	}
	m := &Manifests{
		Keys:       map[types.NamespacedName]*v1alpha1.SFTPKey{},
		Secrets:    map[types.NamespacedName]*corev1.Secret{},
		Namespaces: map[string]map[string]string{},
		uids:       map[types.UID]bool{},
	}
	files, err := expand(paths)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		data, err := readInput(f)
		if err != nil {
			return nil, err
		}
		r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
		for {
			doc, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f, err)
			}
			if err := m.add(ctx, kinds, doc); err != nil {
				return nil, fmt.Errorf("%s: %w", f, err)
			}
		}
	}
	return m, nil
}

func expand(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		if p == "-" {
			out = append(out, p)
			continue
		}
		err := filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			ext := filepath.Ext(path)
			if !d.IsDir() && (path == p || slices.Contains([]string{".yaml", ".yml", ".json"}, ext)) {
				out = append(out, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readInput(f string) ([]byte, error) {
	if f == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(f)
}

func (m *Manifests) add(ctx context.Context, schemas map[string]schema, doc []byte) error {
	// Strict: otherwise one of two duplicate keys would be lost silently.
	data, err := yaml.YAMLToJSONStrict(doc)
	if err != nil {
		return err
	}
	var obj map[string]any
	// Decode like the API server: rules that calculate need integers, not floating-point numbers.
	if err := utiljson.Unmarshal(data, &obj); err != nil {
		return err
	}
	if len(obj) == 0 {
		return nil
	}
	u := &unstructured.Unstructured{Object: obj}
	if u.IsList() {
		return u.EachListItem(func(o runtime.Object) error {
			data, err := yaml.Marshal(o)
			if err != nil {
				return err
			}
			return m.add(ctx, schemas, data)
		})
	}
	if u.GetNamespace() == "" {
		u.SetNamespace("default")
	}
	gvk := u.GroupVersionKind()
	if matters := []string{"Namespace", "Secret"}; gvk.Group != v1alpha1.GroupName && !slices.Contains(matters, gvk.GroupKind().String()) {
		return nil
	}
	if problems := names(u); len(problems) > 0 {
		for _, p := range problems {
			m.Refused = append(m.Refused, fmt.Sprintf("%s %q: %s", gvk.Kind, u.GetNamespace()+"/"+u.GetName(), p))
		}
		return nil
	}
	if gvk.Group == v1alpha1.GroupName {
		return m.addOwn(ctx, schemas, u)
	}
	switch gvk.GroupKind().String() {
	case "Namespace":
		labels := u.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[corev1.LabelMetadataName] = u.GetName() // like the API server
		m.Namespaces[u.GetName()] = labels
	case "Secret":
		s := &corev1.Secret{}
		if err := convert(u, s); err != nil {
			return err
		}
		for k, v := range s.StringData {
			if s.Data == nil {
				s.Data = map[string][]byte{}
			}
			s.Data[k] = []byte(v)
		}
		m.Secrets[nameOf(u)] = s
	}
	return nil
}

// names returns what is wrong with the name and the namespace of an object. They become directory paths, which must not lead
// elsewhere.
func names(u *unstructured.Unstructured) (out []string) {
	for _, p := range validation.NameIsDNSSubdomain(u.GetName(), false) {
		out = append(out, "metadata.name: "+p)
	}
	for _, p := range validation.ValidateNamespaceName(u.GetNamespace(), false) {
		out = append(out, "metadata.namespace: "+p)
	}
	return out
}

func (m *Manifests) addOwn(ctx context.Context, schemas map[string]schema, u *unstructured.Unstructured) error {
	s, ok := schemas[u.GetKind()]
	if !ok {
		m.refuse(u, "no such kind in "+v1alpha1.GroupName)
		return nil
	}
	if u.GetAPIVersion() != v1alpha1.GroupVersion.String() {
		m.refuse(u, fmt.Sprintf("apiVersion must be %s", v1alpha1.GroupVersion))
		return nil
	}
	if problems := s.check(ctx, u.Object); len(problems) > 0 {
		for _, p := range problems {
			m.refuse(u, p)
		}
		return nil
	}
	m.identify(u)
	switch u.GetKind() {
	case "SFTPListener":
		var l v1alpha1.SFTPListener
		if err := convert(u, &l); err != nil {
			return err
		}
		m.Listeners = append(m.Listeners, l)
	case "SFTPUser":
		var user v1alpha1.SFTPUser
		if err := convert(u, &user); err != nil {
			return err
		}
		m.Users = append(m.Users, user)
	case "SFTPKey":
		k := &v1alpha1.SFTPKey{}
		if err := convert(u, k); err != nil {
			return err
		}
		m.Keys[nameOf(u)] = k
	}
	return nil
}

// maxUID bounds UIDs from manifests, in bytes. The API server's have 36.
const maxUID = 64

// identify makes sure that an object has a unique UID. Manifests that were read from a cluster have one, so that the output
// is what the operator writes. In others, and in copies of another object that kept its UID, the name is used instead.
func (m *Manifests) identify(u *unstructured.Unstructured) {
	if uid := u.GetUID(); uid == "" || len(uid) > maxUID || m.uids[uid] {
		u.SetUID(types.UID(u.GetNamespace() + "." + u.GetName()))
	}
	m.uids[u.GetUID()] = true
}

func (m *Manifests) refuse(u *unstructured.Unstructured, problem string) {
	m.Refused = append(m.Refused, fmt.Sprintf("%s %s/%s: %s", u.GetKind(), u.GetNamespace(), u.GetName(), problem))
}

func nameOf(u *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: u.GetNamespace(), Name: u.GetName()}
}

func convert(u *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, into); err != nil {
		return fmt.Errorf("%s %s: %w", u.GetKind(), nameOf(u), err)
	}
	return nil
}
