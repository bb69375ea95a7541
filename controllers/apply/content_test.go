package apply

import (
	"context"
	"encoding/base64"
	"runtime"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Additional fields are not a difference; other values, and other numbers of entries, are.
func TestContains(t *testing.T) {
	type m = map[string]any
	type l = []any
	for name, tc := range map[string]struct {
		has, wanted any
		want        bool
	}{
		"equal":                    {m{"a": "1"}, m{"a": "1"}, true},
		"more fields":              {m{"a": "1", "b": "2"}, m{"a": "1"}, true},
		"a field less":             {m{"b": "2"}, m{"a": "1"}, false},
		"another value":            {m{"a": "2"}, m{"a": "1"}, false},
		"second field differs":     {m{"a": "1", "b": "1"}, m{"a": "1", "b": "2"}, false},
		"nested, more fields":      {m{"a": m{"b": int64(1), "c": 2}}, m{"a": m{"b": int64(1)}}, true},
		"nested, another value":    {m{"a": m{"b": int64(1)}}, m{"a": m{"b": int64(2)}}, false},
		"empty, and not there":     {m{}, m{"a": m{}, "b": l{}}, true},
		"empty, and another thing": {m{"a": "x"}, m{"a": m{}}, false},
		"no map":                   {m{"a": "x"}, m{"a": m{"b": "1"}}, false},
		"not there":                {m{}, m{"a": m{"b": "1"}}, false},
		"lists":                    {m{"a": l{"1", "2"}}, m{"a": l{"1", "2"}}, true},
		"an entry more":            {m{"a": l{"1", "2"}}, m{"a": l{"1"}}, false},
		"an entry less":            {m{"a": l{"1"}}, m{"a": l{"1", "2"}}, false},
		"another entry":            {m{"a": l{"1", "3"}}, m{"a": l{"1", "2"}}, false},
		"entries with more fields": {m{"a": l{m{"b": "1", "c": "2"}}}, m{"a": l{m{"b": "1"}}}, true},
		"an empty list of some":    {m{"a": l{"1"}}, m{"a": l{}}, false},
		"no list":                  {m{"a": "1"}, m{"a": l{"1"}}, false},
		"a list that is not there": {m{}, m{"a": l{"1"}}, false},
		"an empty list, no list":   {m{"a": "1"}, m{"a": l{}}, false},
	} {
		if got := contains(tc.has, tc.wanted); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// An applied object has no fields that only the API server sets, and Secrets are encoded as in the API.
func TestPlain(t *testing.T) {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "d", Annotations: map[string]string{"a": "b"}}}
	d.CreationTimestamp = metav1.NewTime(time.Unix(1e9, 0))
	d.Spec.Template.CreationTimestamp = d.CreationTimestamp
	d.Status.Replicas = 3
	in, err := newIntent(d, clientgoscheme.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	u := in.whole()
	text, err := u.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); strings.Contains(s, "creationTimestamp") || strings.Contains(s, `"status"`) || u.GetKind() != "Deployment" || u.GetAPIVersion() != "apps/v1" ||
		u.GetAnnotations()["a"] != "b" || u.GetAnnotations()[v1alpha1.AnnotationApplied] != in.sum || len(in.sum) != 32 {
		t.Errorf("%s", s)
	}
	s := secret("plain", "content")
	s.Data["b"] = []byte("more")
	in, err = newIntent(s, clientgoscheme.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	u = in.whole()
	data, _ := u.Object["data"].(map[string]any)
	encode := base64.StdEncoding.EncodeToString
	if data["a"] != encode([]byte("content")) || data["b"] != encode([]byte("more")) || len(data) != 2 || string(s.Data["a"]) != "content" {
		t.Errorf("%v", u.Object)
	}
	s.Data = nil
	bare, err := newIntent(s, clientgoscheme.Scheme)
	if _, has := bare.whole().Object["data"]; err != nil || has {
		t.Errorf("without entries: %v, %v", bare.whole().Object, err)
	}
	if r := in.resource(); r.Resource != "Secret" || r.Group != "" {
		t.Errorf("%v", r)
	}
	other, err := newIntent(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "e"}}, clientgoscheme.Scheme)
	if err != nil || other.sum == in.sum || other.resource().Group != "apps" || other.id() != "Deployment//e" {
		t.Errorf("%v, %s", other.resource(), other.id())
	}
}

// The shards of a large listener amount to megabytes, and a change affects one of them. Unchanged shards are not copied, and
// the changed one is copied only into the request.
func TestLargeSecretsAreNotCopied(t *testing.T) {
	const size = 4 << 20
	s := secret("large", strings.Repeat("x", size))
	allocated := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	var in intent
	if n := allocated(func() { in, _ = newIntent(s, clientgoscheme.Scheme) }); n > size/4 {
		t.Errorf("its checksum takes %d bytes of memory", n)
	}
	if n := allocated(func() { in.whole() }); n > 3*size {
		t.Errorf("what is applied takes %d bytes of memory", n)
	}
}

// unreadable is content that is not JSON, where the API server writes.
var unreadable = []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1("x")}}

// If the wanted or the current object cannot be decoded, the result is an error, and nothing is written or recorded.
func TestContentThatCannotBeRead(t *testing.T) {
	a := &Applier{Client: api, Live: api}
	wanted := service("unreadable", 22)
	wanted.ManagedFields = unreadable
	if done, err := a.For(listener).Apply(t.Context(), wanted); err == nil || done.Wrote {
		t.Errorf("%+v, %v", done, err)
	}
	wantApply(t, a, service("unreadable", 22), true)
	cached := interceptor.NewClient(api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, key, o, opts...)
			o.SetManagedFields(unreadable)
			return err
		},
	})
	if done, err := (&Applier{Client: cached, Live: api}).For(listener).Apply(t.Context(), service("unreadable", 22)); err == nil || done.Wrote {
		t.Errorf("%+v, %v", done, err)
	}
}

// The API server's answer is taken as the object's current state, even where a webhook has removed something. An answer that
// cannot be decoded is an error.
func TestAnswers(t *testing.T) {
	edit := func(map[string]any) {}
	answers := interceptor.NewClient(api, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o k8sruntime.ApplyConfiguration, opts ...client.ApplyOption) error {
			err := c.Apply(ctx, o, opts...)
			edit(o.(interface{ UnstructuredContent() map[string]any }).UnstructuredContent())
			return err
		},
	})
	a := &Applier{Client: answers, Live: api}
	edit = func(answer map[string]any) { unstructured.RemoveNestedField(answer, "spec", "ports") }
	done, err := a.For(listener).Apply(t.Context(), service("answer", 22))
	if s, ok := done.Live.(*corev1.Service); err != nil || !ok || s.Name != "answer" || len(s.Spec.Ports) != 0 {
		t.Errorf("%+v, %v", done.Live, err)
	}
	edit = func(answer map[string]any) { answer["spec"] = "x" }
	if _, err := a.For(listener).Apply(t.Context(), service("answer", 2022)); err == nil || !strings.HasPrefix(err.Error(), "read the answer to Service/default/answer: ") {
		t.Errorf("%v", err)
	}
}
