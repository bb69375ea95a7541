package deadline

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// answers are the ways in which calls end: after the context, or at once with an error of their own.
func answers(with func(context.Context) error) client.WithWatch {
	return interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(ctx context.Context, _ client.WithWatch, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
			return with(ctx)
		},
		List: func(ctx context.Context, _ client.WithWatch, _ client.ObjectList, _ ...client.ListOption) error {
			return with(ctx)
		},
		Apply: func(ctx context.Context, _ client.WithWatch, _ runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
			return with(ctx)
		},
		Create: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.CreateOption) error {
			return with(ctx)
		},
		Delete: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.DeleteOption) error {
			return with(ctx)
		},
		DeleteAllOf: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.DeleteAllOfOption) error {
			return with(ctx)
		},
		Update: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.UpdateOption) error {
			return with(ctx)
		},
		Patch: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ client.Patch, _ ...client.PatchOption) error {
			return with(ctx)
		},
		SubResourceGet: func(ctx context.Context, _ client.Client, _ string, _, _ client.Object, _ ...client.SubResourceGetOption) error {
			return with(ctx)
		},
		SubResourceCreate: func(ctx context.Context, _ client.Client, _ string, _, _ client.Object, _ ...client.SubResourceCreateOption) error {
			return with(ctx)
		},
		SubResourceUpdate: func(ctx context.Context, _ client.Client, _ string, _ client.Object, _ ...client.SubResourceUpdateOption) error {
			return with(ctx)
		},
		SubResourcePatch: func(ctx context.Context, _ client.Client, _ string, _ client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
			return with(ctx)
		},
		SubResourceApply: func(ctx context.Context, _ client.Client, _ string, _ runtime.ApplyConfiguration, _ ...client.SubResourceApplyOption) error {
			return with(ctx)
		},
	})
}

var (
	pod    = &corev1.Pod{}
	key    = client.ObjectKey{Namespace: "ns", Name: "p"}
	config = client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{})
)

// calls are all calls that a client has.
func calls(c client.Client, r client.Reader) map[string]func(context.Context) error {
	patch := client.MergeFrom(&corev1.Pod{})
	return map[string]func(context.Context) error{
		"Reader.Get":  func(ctx context.Context) error { return r.Get(ctx, key, pod) },
		"Reader.List": func(ctx context.Context) error { return r.List(ctx, &corev1.PodList{}) },

		"Get":         func(ctx context.Context) error { return c.Get(ctx, key, pod) },
		"List":        func(ctx context.Context) error { return c.List(ctx, &corev1.PodList{}) },
		"Apply":       func(ctx context.Context) error { return c.Apply(ctx, config) },
		"Create":      func(ctx context.Context) error { return c.Create(ctx, pod) },
		"Delete":      func(ctx context.Context) error { return c.Delete(ctx, pod) },
		"DeleteAllOf": func(ctx context.Context) error { return c.DeleteAllOf(ctx, pod) },
		"Update":      func(ctx context.Context) error { return c.Update(ctx, pod) },
		"Patch":       func(ctx context.Context) error { return c.Patch(ctx, pod, patch) },

		"Status.Create":      func(ctx context.Context) error { return c.Status().Create(ctx, pod, pod) },
		"Status.Update":      func(ctx context.Context) error { return c.Status().Update(ctx, pod) },
		"Status.Patch":       func(ctx context.Context) error { return c.Status().Patch(ctx, pod, patch) },
		"Status.Apply":       func(ctx context.Context) error { return c.Status().Apply(ctx, config) },
		"SubResource.Get":    func(ctx context.Context) error { return c.SubResource("scale").Get(ctx, pod, pod) },
		"SubResource.Create": func(ctx context.Context) error { return c.SubResource("scale").Create(ctx, pod, pod) },
		"SubResource.Update": func(ctx context.Context) error { return c.SubResource("scale").Update(ctx, pod) },
		"SubResource.Patch":  func(ctx context.Context) error { return c.SubResource("scale").Patch(ctx, pod, patch) },
		"SubResource.Apply":  func(ctx context.Context) error { return c.SubResource("scale").Apply(ctx, config) },
	}
}

func TestEveryCallEnds(t *testing.T) {
	hangs := answers(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	const each = 20 * time.Millisecond
	for name, call := range calls(NewClient(hangs, each), NewReader(hangs, each)) {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			err := call(t.Context())
			if took := time.Since(began); took < each || took > 100*each {
				t.Errorf("it took %s, want %s", took, each)
			}
			var late *Error
			if !errors.As(err, &late) || !errors.Is(err, context.DeadlineExceeded) || err.Error() != "the API server did not answer within 20ms" {
				t.Errorf("error %v", err)
			}
		})
	}
}

// The API server's answer is passed on unchanged. If the caller's own time ends first, the error says so with the same text.
func TestOtherErrorsArePassedOn(t *testing.T) {
	odd := errors.New("etcd is away")
	refuses := answers(func(context.Context) error { return odd })
	for name, call := range calls(NewClient(refuses, time.Minute), NewReader(refuses, time.Minute)) {
		if err := call(t.Context()); err != odd { //nolint:errorlint // it must not be wrapped
			t.Errorf("%s: error %v", name, err)
		}
	}
	hangs := answers(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	for name, call := range calls(NewClient(hangs, time.Minute), NewReader(hangs, time.Minute)) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		err := call(ctx)
		cancel()
		var late *Error
		if !errors.As(err, &late) || !errors.Is(err, context.DeadlineExceeded) || err.Error() != "the API server did not answer in time" {
			t.Errorf("%s: error %v", name, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if err := call(ctx); err != context.Canceled { //nolint:errorlint // it must not be wrapped
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestGoodAnswers(t *testing.T) {
	good := answers(func(context.Context) error { return nil })
	for name, call := range calls(NewClient(good, time.Minute), NewReader(good, time.Minute)) {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// If a later version of the library adds a call, it must not be missed.
func TestAllCallsAreTested(t *testing.T) {
	tested := calls(NewClient(answers(nil), time.Minute), NewReader(answers(nil), time.Minute))
	for prefix, of := range map[string]reflect.Type{
		"Reader.": reflect.TypeFor[client.Reader](), "": reflect.TypeFor[client.Client](),
		"Status.": reflect.TypeFor[client.SubResourceWriter](), "SubResource.": reflect.TypeFor[client.SubResourceClient](),
	} {
		for m := range of.Methods() {
			calls := m.Type.NumIn() > 0 && m.Type.In(0) == reflect.TypeFor[context.Context]()
			if calls && tested[prefix+m.Name] == nil {
				t.Errorf("%s%s is not tested", prefix, m.Name)
			}
		}
	}
}
