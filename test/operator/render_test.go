package operator

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/offline"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/test/apiserver"
	"github.com/sftp-operator/sftp-operator/test/manifests"
)

// manifestsOf returns the objects that determine listeners, as stored by the API server, except the Secrets that the operator
// created for its pods.
func manifestsOf(t *testing.T, namespaces []string) *offline.Manifests {
	t.Helper()
	var all bytes.Buffer
	write := func(o client.Object) {
		kind, err := apiutil.GVKForObject(o, api.Scheme())
		if err != nil {
			t.Fatal(err)
		}
		o.GetObjectKind().SetGroupVersionKind(kind)
		data, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "---\n%s", data)
	}
	for _, name := range namespaces {
		ns := &corev1.Namespace{}
		get(t, ns, "", name)
		write(ns)
		for _, list := range []client.ObjectList{&v1alpha1.SFTPListenerList{}, &v1alpha1.SFTPUserList{}, &v1alpha1.SFTPKeyList{}, &corev1.SecretList{}} {
			for _, o := range items(t, list, name) {
				if s, ok := o.(*corev1.Secret); !ok || s.Labels[v1alpha1.LabelListener] == "" {
					write(o)
				}
			}
		}
	}
	file := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(file, all.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := offline.Read(t.Context(), []string{file})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rendered compares what the operator has created for a listener with the output of manager render.
func rendered(t *testing.T, m *offline.Manifests, l *v1alpha1.SFTPListener) error {
	t.Helper()
	dir := t.TempDir()
	have := map[string][]byte{}
	for _, o := range items(t, &corev1.SecretList{}, l.Namespace) {
		// manager render writes what the daemon's pods read, and nothing for the relay.
		if s, ok := o.(*corev1.Secret); ok && s.Labels[v1alpha1.LabelListener] == l.Name && s.Name != render.RelayName(l) {
			for name, data := range s.Data {
				have[name] = data
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var prev offline.Previous
	if len(have) > 0 {
		all, err := offline.ReadPrevious(dir)
		if err != nil {
			return err
		}
		prev = offline.Previous{Passwords: all.Passwords, HostKeys: all.HostKeys} // these differ each time they are created
	}
	files, findings, err := m.Render(t.Context(), l, prev, clock.now(), render.PodVolumePath)
	if err != nil {
		return err
	}
	want := maps.Clone(files.Config)
	for i, data := range files.Shards {
		want[render.ShardFile(i)] = data
	}
	if len(want) != len(have) {
		return fmt.Errorf("%s/%s: the operator has the files %q, and manager render writes %q", l.Namespace, l.Name,
			slices.Sorted(maps.Keys(have)), slices.Sorted(maps.Keys(want)))
	}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(want))) { // the shards first: the settings have their digests
		data := want[name]
		if !bytes.Equal(have[name], data) {
			return fmt.Errorf("%s from the operator is\n%s\nand from manager render\n%s", name, have[name], data)
		}
	}
	return sameFindings(t, l, findings)
}

// suggestion matches what the status of a user that no listener accepts says in addition to the finding.
var suggestion = regexp.MustCompile(`[.] (No listener admits|Listeners that admit) namespace ".*$`)

// sameFindings compares the findings of manager render with conditions.
func sameFindings(t *testing.T, l *v1alpha1.SFTPListener, findings []offline.Finding) error {
	t.Helper()
	said := map[string][]offline.Finding{}
	for _, f := range findings {
		said[f.Object] = append(said[f.Object], f)
	}
	objects := []client.Object{l}
	var users v1alpha1.SFTPUserList
	if err := api.List(t.Context(), &users); err != nil {
		t.Fatal(err)
	}
	for i := range users.Items {
		if listenerOf(&users.Items[i]) == client.ObjectKeyFromObject(l) {
			objects = append(objects, &users.Items[i])
		}
	}
	for _, o := range objects {
		kind := "SFTPUser "
		if o == client.Object(l) {
			kind = "SFTPListener "
			get(t, o, o.GetNamespace(), o.GetName())
		}
		wrong := kind + client.ObjectKeyFromObject(o).String()
		var reasons, messages []string
		for _, kind := range []string{"Accepted", "ResolvedRefs", "Ready"} {
			c := meta.FindStatusCondition(conditionsOf(o), kind)
			switch {
			case kind == "Ready" && meta.IsStatusConditionTrue(conditionsOf(o), "Inactive"):
			case c == nil || c.ObservedGeneration != o.GetGeneration():
				return fmt.Errorf("%s has no condition %s of its generation", wrong, kind)
			case kind == "Ready" && c.Reason != v1alpha1.ReasonUserRejected, kind != "Ready" && c.Status != "False" && c.Reason != v1alpha1.ReasonCryptoPolicyExpired:
			case c.Reason == v1alpha1.ReasonSuspended, c.Reason == v1alpha1.ReasonExpired:
			default:
				reasons, messages = append(reasons, c.Reason), append(messages, suggestion.ReplaceAllString(c.Message, ""))
			}
		}
		text := strings.Join(messages, "; ")
		for _, f := range said[wrong] {
			if !slices.Contains(reasons, f.Reason) && !strings.Contains(text, f.Message) || !strings.Contains(text, f.Message) {
				return fmt.Errorf("manager render says %s, but the conditions say %q: %q", f, reasons, text)
			}
			text = strings.Replace(text, f.Message, "", 1)
		}
		if rest := strings.Trim(text, "; "); rest != "" {
			return fmt.Errorf("%s: the conditions say %q: %q, but manager render says %v", wrong, reasons, rest, said[wrong])
		}
	}
	return nil
}

// The operator's Secrets equal, byte for byte, what manager render writes for the same objects, and its findings equal the
// conditions: for the samples, and for generated sets of manifests.
func TestRenderIsTheOperator(t *testing.T) {
	sets := 20
	if n, err := strconv.Atoi(os.Getenv("RENDER_SETS")); err == nil {
		sets = n
	}
	t.Run("samples", func(t *testing.T) { renderSamples(t) })
	clock.jump(t, time.Until(manifests.Now))
	files, refused := 0, 0
	for seed := range uint64(sets) {
		t.Run(fmt.Sprint("set ", seed), func(t *testing.T) {
			for _, ns := range manifests.Namespaces(seed) {
				cleanUp(t, ns)
			}
			var last []client.Object
			for _, o := range manifests.Generate(seed) {
				if _, ok := o.(*v1alpha1.SFTPListener); ok {
					last = append(last, o)
				} else if err := api.Create(t.Context(), o); err != nil {
					refused++
				}
			}
			for _, o := range last {
				create(t, o)
			}
			within(t, 30*time.Second, func() error {
				m := manifestsOf(t, manifests.Namespaces(seed))
				if len(m.Refused) > 0 {
					return errors.New(strings.Join(m.Refused, "; "))
				}
				return rendered(t, m, &m.Listeners[0])
			})
			files++
		})
	}
	t.Logf("RENDER %d of %d generated sets are the same, %d objects were refused by the API server", files, sets, refused)
}

func renderSamples(t *testing.T) {
	root, err := apiserver.Root()
	if err != nil {
		t.Fatal(err)
	}
	samples, err := filepath.Glob(filepath.Join(root, "config", "samples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range samples {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			u := &unstructured.Unstructured{}
			if err := decoder.Decode(&u.Object); err != nil {
				break
			}
			if u.Object == nil || u.GetKind() == "" || u.GetKind() == "Kustomization" {
				continue
			}
			if u.GetKind() == "Namespace" {
				seen[u.GetName()] = true
				cleanUp(t, u.GetName())
			} else {
				seen[u.GetNamespace()] = true
			}
			if err := api.Create(t.Context(), u); err != nil && !apierrors.IsAlreadyExists(err) && !meta.IsNoMatchError(err) {
				t.Fatalf("%s: %v", f, err)
			}
		}
	}
	namespaces := []string{}
	for ns := range seen {
		if ns != "" {
			namespaces = append(namespaces, ns)
		}
	}
	compared := 0
	within(t, time.Minute, func() error {
		m := manifestsOf(t, namespaces)
		compared = len(m.Listeners)
		for i := range m.Listeners {
			if err := rendered(t, m, &m.Listeners[i]); err != nil {
				return err
			}
		}
		return nil
	})
	t.Logf("RENDER %d listeners of %d sample files are the same", compared, len(samples))
	if compared < 5 {
		t.Errorf("%d listeners in the samples", compared)
	}
}
