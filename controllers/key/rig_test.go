package key

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
)

// rig is a Reconciler with an in-memory API server and its own clock.
type rig struct {
	*Reconciler
	t   *testing.T
	now time.Time
	// fail is called before each API call with a text such as "get SFTPKey acme", and its result is the call's error. It may
	// panic.
	fail func(call string) error
	// calls are all API calls, and recorded are the events.
	calls    []string
	recorded *events.FakeRecorder
	all      client.WithWatch
}

// indexes collects what index registers, for the in-memory client.
type indexes struct{ b *fake.ClientBuilder }

func (ix indexes) IndexField(_ context.Context, o client.Object, field string, values client.IndexerFunc) error {
	ix.b.WithIndex(o, field, values)
	return nil
}

func newRig(t *testing.T, objects ...client.Object) *rig {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, now: began, recorded: events.NewFakeRecorder(100)}
	b := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.SFTPKey{}, &v1alpha1.SFTPUser{}, &v1alpha1.SFTPListener{})
	if err := index(t.Context(), indexes{b}); err != nil {
		t.Fatal(err)
	}
	r.all = b.Build()
	c := r.intercepted("")
	r.Reconciler = &Reconciler{Client: c, Live: r.intercepted("live "), Events: r.recorded, Now: func() time.Time { return r.now }, generator: newGenerator()}
	return r
}

// intercepted returns a client that records its calls with a prefix and fails as the test specifies.
func (r *rig) intercepted(prefix string) client.Client {
	note := func(verb string, o runtime.Object, name string) error {
		kind := fmt.Sprintf("%T", o)
		if gvks, _, err := r.all.Scheme().ObjectKinds(o); err == nil && len(gvks) > 0 {
			kind = gvks[0].Kind
		}
		call := fmt.Sprintf("%s%s %s %s", prefix, verb, kind, name)
		r.calls = append(r.calls, call)
		if r.fail == nil {
			return nil
		}
		return r.fail(call)
	}
	return interceptor.NewClient(r.all, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := note("get", o, key.Name); err != nil {
				return err
			}
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if err := note("list", list, ""); err != nil {
				return err
			}
			return c.List(ctx, list, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := note("create", o, o.GetName()); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := note("delete", o, o.GetName()); err != nil {
				return err
			}
			with := (&client.DeleteOptions{}).ApplyOptions(opts)
			if p := with.Preconditions; p == nil || p.UID == nil || *p.UID != o.GetUID() {
				r.t.Errorf("%s is deleted whatever it is by now", o.GetName())
			}
			return c.Delete(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if err := note("patch", o, o.GetName()); err != nil {
				return err
			}
			return c.Patch(ctx, o, patch, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := note("patch "+sub, o, o.GetName()); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, patch, opts...)
		},
	})
}

// reconciled reconciles the SFTPKey and returns the time of the next reconcile.
func (r *rig) reconciled(k *v1alpha1.SFTPKey) (time.Duration, error) {
	r.calls = nil
	result, err := r.Reconcile(r.t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(k)})
	return result.RequeueAfter, err
}

// settle reconciles an SFTPKey, expects no error, and returns its resulting state.
func (r *rig) settle(k *v1alpha1.SFTPKey) (*v1alpha1.SFTPKey, time.Duration) {
	r.t.Helper()
	after, err := r.reconciled(k)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.key(k), after
}

// wantNew advances the clock by a second and requests a pair made at that time or later.
func (r *rig) wantNew(k *v1alpha1.SFTPKey) {
	r.t.Helper()
	r.now = r.now.Add(time.Second)
	k.Spec.Rotation.MadeAfter = new(metav1.NewTime(r.now))
	r.update(k, false)
}

// rotated requests a new pair and settles.
func (r *rig) rotated(k *v1alpha1.SFTPKey) *v1alpha1.SFTPKey {
	r.t.Helper()
	r.wantNew(k)
	k, _ = r.settle(k)
	return k
}

func (r *rig) key(k *v1alpha1.SFTPKey) *v1alpha1.SFTPKey {
	r.t.Helper()
	out := &v1alpha1.SFTPKey{}
	if err := r.all.Get(r.t.Context(), client.ObjectKeyFromObject(k), out); err != nil {
		r.t.Fatal(err)
	}
	return out
}

// secretNamed returns a Secret in the SFTPKey's namespace, nil if there is none.
func (r *rig) secretNamed(k *v1alpha1.SFTPKey, name string) *corev1.Secret {
	r.t.Helper()
	out := &corev1.Secret{}
	err := r.all.Get(r.t.Context(), client.ObjectKey{Namespace: k.Namespace, Name: name}, out)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// update changes an object on the server, or only its status, as another client would.
func (r *rig) update(o client.Object, status bool) {
	r.t.Helper()
	write := func() error { return r.all.Update(r.t.Context(), o) }
	if status {
		write = func() error { return r.all.Status().Update(r.t.Context(), o) }
	}
	if err := write(); err != nil {
		r.t.Fatal(err)
	}
}

// told returns the events since the last call.
func (r *rig) told() (out []string) {
	for {
		select {
		case e := <-r.recorded.Events:
			out = append(out, e)
		default:
			return out
		}
	}
}

// writes are the calls that changed something.
func (r *rig) writes() []string {
	return slices.DeleteFunc(slices.Clone(r.calls), func(c string) bool {
		return slices.ContainsFunc([]string{"get ", "list ", "live get ", "live list "}, func(p string) bool { return len(c) > len(p) && c[:len(p)] == p })
	})
}

func summary(k *v1alpha1.SFTPKey) *metav1.Condition { return conditions.Summary(k.Status.Conditions) }

// ready returns the condition that summarizes a key; for an inactive key with its type.
func ready(k *v1alpha1.SFTPKey) string {
	c := summary(k)
	if c == nil {
		return ""
	}
	if c.Type == v1alpha1.ConditionInactive {
		return fmt.Sprintf("%s %s: %s", c.Type, c.Reason, c.Message)
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

var (
	secretsResource = schema.GroupResource{Resource: "secrets"}
	errDown         = apierrors.NewInternalError(errors.New("etcd is down"))
)

// named returns an SFTPKey that the in-memory client accepts.
func named(edits ...func(*v1alpha1.SFTPKey)) *v1alpha1.SFTPKey {
	k := &v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "acme", UID: "uid-acme", Generation: 5},
		Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyGenerated},
	}
	for _, edit := range edits {
		edit(k)
	}
	return k
}

func deleting(k *v1alpha1.SFTPKey) { k.Spec.DeletionPolicy = v1alpha1.Delete }
