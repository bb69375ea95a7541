package apply

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// listener stands in for a listener: only its metadata matters.
var listener = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "partners", UID: "0000"}}

var own = map[string]string{v1alpha1.LabelListener: "partners"}

// service returns the Service as the operator wants it.
func service(name string, port int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: maps.Clone(own)},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{
			Name: "sftp", Port: port, TargetPort: intstr.FromInt32(2222), Protocol: corev1.ProtocolTCP,
		}}},
	}
}

func read(t *testing.T, name string) *corev1.Service {
	t.Helper()
	s := &corev1.Service{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func wantApply(t *testing.T, a *Applier, o client.Object, wantWrite bool) {
	t.Helper()
	done, err := a.For(listener).Apply(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if done.Wrote != wantWrite {
		t.Errorf("wrote %v, want %v", done.Wrote, wantWrite)
	}
}

func TestApply(t *testing.T) {
	a := &Applier{Client: api, Live: api}
	wantApply(t, a, service("plain", 22), true)
	made := read(t, "plain")
	if !metav1.IsControlledBy(made, listener) || made.Spec.Ports[0].Port != 22 {
		t.Errorf("owners %v, ports %v", made.OwnerReferences, made.Spec.Ports)
	}
	// An operator of another version recognizes its own fields by this name, and removes those that are no longer wanted.
	if !slices.ContainsFunc(made.ManagedFields, func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == "sftp-operator" && f.Operation == metav1.ManagedFieldsOperationApply
	}) {
		t.Errorf("managed fields %+v", made.ManagedFields)
	}

	wantApply(t, a, service("plain", 22), false)
	if read(t, "plain").ResourceVersion != made.ResourceVersion {
		t.Error("the second apply wrote")
	}

	wantApply(t, a, service("plain", 2022), true)
	if got := read(t, "plain").Spec.Ports[0].Port; got != 2022 {
		t.Errorf("port %d after a change", got)
	}
}

// An applier in a new process does not know what was applied. It detects that nothing differs, and what has been changed.
func TestApplyAfterARestart(t *testing.T) {
	objects := map[string]func() client.Object{
		"a Service": func() client.Object { return service("restart", 22) },
		"a Secret":  func() client.Object { return secret("restart", "1") },
	}
	for name, object := range objects {
		t.Run(name, func(t *testing.T) {
			wantApply(t, &Applier{Client: metadata{api}, Live: api}, object(), true)
			a := &Applier{Client: metadata{api}, Live: api}
			wantApply(t, a, object(), false)
			wantApply(t, a, object(), false)

			changed := object()
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(changed), changed); err != nil {
				t.Fatal(err)
			}
			switch o := changed.(type) {
			case *corev1.Service:
				o.Spec.Ports[0].Name = "http"
			case *corev1.Secret:
				o.Data["a"] = []byte("2")
			}
			if err := api.Update(t.Context(), changed); err != nil {
				t.Fatal(err)
			}
			wantApply(t, &Applier{Client: metadata{api}, Live: api}, object(), true)
		})
	}
}

// Another release may want fewer fields. Those no longer wanted are removed, even if everything that is wanted exists.
func TestLessIsWantedAfterARestart(t *testing.T) {
	o := service("restart-less", 22)
	o.Annotations = map[string]string{"a": "b"}
	wantApply(t, &Applier{Client: api, Live: api}, o, true)
	wantApply(t, &Applier{Client: api, Live: api}, service("restart-less", 22), true)
	if got := read(t, "restart-less").Annotations["a"]; got != "" {
		t.Errorf("the annotation %q stayed", got)
	}
}

// A cache that lags behind the applier's own write causes no second write, and one that shows a foreign write does.
func TestCacheBehindTheOwnWrite(t *testing.T) {
	lag := false
	var old *corev1.Service
	cached := interceptor.NewClient(api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if s, ok := o.(*corev1.Service); ok && lag {
				old.DeepCopyInto(s)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	a := &Applier{Client: cached, Live: api}
	wantApply(t, a, service("lag", 22), true)
	old = read(t, "lag")
	wantApply(t, a, service("lag", 2022), true)
	lag = true
	wantApply(t, a, service("lag", 2022), false)
	if a.Wrote("Service", old) || !a.Wrote("Service", read(t, "lag")) {
		t.Error("the last write is not distinguished from the state before it")
	}
}

func TestDriftIsRepaired(t *testing.T) {
	a := &Applier{Client: api, Live: api}
	wantApply(t, a, service("drift", 22), true)
	changed := read(t, "drift")
	changed.Spec.Ports[0].Name = "http"
	changed.Annotations = map[string]string{"of": "somebody"}
	if err := api.Update(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	wantApply(t, a, service("drift", 22), true)
	got := read(t, "drift")
	if got.Spec.Ports[0].Name != "sftp" || len(got.Spec.Ports) != 1 {
		t.Errorf("ports %v, want the one that was applied", got.Spec.Ports)
	}
	if got.Annotations["of"] != "somebody" {
		t.Error("a field that the operator does not set was removed")
	}
	// Values of fields that other managers own cause no write.
	wantApply(t, a, service("drift", 22), false)
	got.Annotations["of"] = "someone else"
	if err := api.Update(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	wantApply(t, a, service("drift", 22), false)
}

func TestFieldThatIsNoLongerWantedGoes(t *testing.T) {
	a := &Applier{Client: api, Live: api}
	o := service("less", 22)
	o.Annotations = map[string]string{"a": "b"}
	wantApply(t, a, o, true)
	wantApply(t, a, service("less", 22), true)
	if got := read(t, "less").Annotations["a"]; got != "" {
		t.Errorf("the annotation %q stayed", got)
	}
}

func secret(name, data string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: maps.Clone(own)},
		Data:       map[string][]byte{"a": []byte(data)},
	}
}

// metadata is a client without the content of Secrets, like the operator's cache.
type metadata struct{ client.WithWatch }

func (m metadata) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, ok := o.(*corev1.Secret); ok {
		return errors.New("no cache has Secrets")
	}
	return m.WithWatch.Get(ctx, key, o, opts...)
}

func TestSecret(t *testing.T) {
	a := &Applier{Client: metadata{api}, Live: api}
	wantApply(t, a, secret("secret", "1"), true)
	wantApply(t, a, secret("secret", "1"), false)
	wantApply(t, a, secret("secret", "2"), true)
	got := &corev1.Secret{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "secret"}, got); err != nil {
		t.Fatal(err)
	}
	if string(got.Data["a"]) != "2" {
		t.Errorf("data %q", got.Data)
	}
}

// A failed write is retried, and not recorded as done.
func TestFailedApplyIsNotRemembered(t *testing.T) {
	fail := true
	flaky := interceptor.NewClient(api, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if fail {
				return errors.New("etcd is away")
			}
			return c.Apply(ctx, o, opts...)
		},
	})
	a := &Applier{Client: flaky, Live: api}
	if _, err := a.For(listener).Apply(t.Context(), service("flaky", 22)); err == nil || err.Error() != "apply Service/default/flaky: etcd is away" {
		t.Errorf("error %v", err)
	}
	fail = false
	wantApply(t, a, service("flaky", 22), true)
	wantApply(t, a, service("flaky", 22), false)
}
