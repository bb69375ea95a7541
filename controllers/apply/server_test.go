package apply

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/test/apiserver"
)

// api is a real API server, because server-side apply, ownership and preconditions are its work. With -short, and for mutants,
// it is an in-memory one, so that a run takes a second.
var api client.WithWatch

func TestMain(m *testing.M) { os.Exit(run(m)) }

// short reports whether the API server is in memory. hack/mutate sets MUTANT.
func short() bool { return testing.Short() || os.Getenv("MUTANT") != "" }

func run(m *testing.M) int {
	flag.Parse()
	if short() {
		api = inMemory()
		return m.Run()
	}
	env, err := apiserver.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer env.Stop()
	if api, err = client.NewWithWatch(env.Config, client.Options{Scheme: clientgoscheme.Scheme}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// realServer skips a test of refusals that only a real API server makes; in CI, only mutants run without one.
func realServer(t *testing.T) {
	t.Helper()
	if short() {
		if os.Getenv("CI") == "true" && os.Getenv("MUTANT") == "" {
			t.Fatal("needs a real API server, and CI=true: run the tests without -short")
		}
		t.Skip("needs a real API server")
	}
}

// inMemory is an in-memory API server that assigns UIDs and checks preconditions of deletions.
func inMemory() client.WithWatch {
	var made atomic.Int64
	uid := func() types.UID { return types.UID(fmt.Sprintf("uid-%d", made.Add(1))) }
	bare := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithReturnManagedFields().WithGlobalResourceVersionCounter().Build()
	return interceptor.NewClient(bare, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			o.SetUID(uid())
			return c.Create(ctx, o, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			u := o.(interface {
				client.Object
				UnstructuredContent() map[string]any
			})
			if err := c.Apply(ctx, o, opts...); err != nil || u.GetUID() != "" {
				return err
			}
			typed, err := clientgoscheme.Scheme.New(u.GetObjectKind().GroupVersionKind())
			if err != nil {
				return err
			}
			made := typed.(client.Object)
			if err := c.Get(ctx, client.ObjectKeyFromObject(u), made); err != nil {
				return err
			}
			made.SetUID(uid())
			if err := c.Update(ctx, made); err != nil {
				return err
			}
			u.SetUID(made.GetUID())
			u.SetResourceVersion(made.GetResourceVersion())
			return nil
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			var d client.DeleteOptions
			d.ApplyOptions(opts)
			live := o.DeepCopyObject().(client.Object)
			if err := c.Get(ctx, client.ObjectKeyFromObject(o), live); err != nil {
				return err
			}
			if d.Preconditions != nil && d.Preconditions.UID != nil && *d.Preconditions.UID != live.GetUID() {
				return apierrors.NewConflict(corev1.Resource("x"), o.GetName(), fmt.Errorf("another UID"))
			}
			return c.Delete(ctx, o)
		},
	})
}
