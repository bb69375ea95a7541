package ack

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// cluster counts the patches of each pod. fail, if set, is called instead.
type cluster struct {
	client.Client
	fail func(ctx context.Context, pod string) error

	mu      sync.Mutex
	patches map[string]int
}

func newCluster(pods ...*corev1.Pod) *cluster {
	c := &cluster{patches: map[string]int{}}
	b := fake.NewClientBuilder()
	for _, p := range pods {
		b = b.WithObjects(p.DeepCopy())
	}
	c.Client = b.WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, w client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			c.mu.Lock()
			c.patches[o.GetName()]++
			c.mu.Unlock()
			if c.fail != nil {
				if err := c.fail(ctx, o.GetName()); err != nil {
					return err
				}
			}
			return w.Patch(ctx, o, p, opts...)
		},
	}).Build()
	return c
}

func (c *cluster) annotations(t *testing.T, name string) map[string]string {
	t.Helper()
	var p corev1.Pod
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: name}, &p); err != nil {
		t.Fatal(err)
	}
	return p.Annotations
}

// Before anything is asked, each pod is notified once of what was just written.
func TestRequestSync(t *testing.T) {
	told, ending, nowhere := readyPod("told"), readyPod("ending"), readyPod("nowhere")
	told.Annotations = map[string]string{v1alpha1.AnnotationConfigDigest: wanted}
	ending.DeletionTimestamp, ending.Finalizers = new(metav1.Now()), []string{"test/keep"}
	nowhere.Status.PodIP = ""
	pods := []*corev1.Pod{readyPod("a"), pod("starting", corev1.ConditionFalse), told, ending, nowhere}
	c := newCluster(pods...)
	if err := RequestSync(t.Context(), c, pods, wanted); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"a": 1, "starting": 1}; !maps.Equal(c.patches, want) {
		t.Errorf("requests %v, want %v", c.patches, want)
	}
	first := c.annotations(t, "a")
	if first[v1alpha1.AnnotationConfigDigest] != wanted || first[v1alpha1.AnnotationSyncRequested] == "" {
		t.Errorf("annotations %v", first)
	}
	// A notification can get lost, so the next one must be a change again.
	if err := RequestSyncAgain(t.Context(), c, pods[:1], wanted); err != nil || c.annotations(t, "a")[v1alpha1.AnnotationSyncRequested] == first[v1alpha1.AnnotationSyncRequested] {
		t.Errorf("%v: the second request does not differ from the first: the kubelet would not look", err)
	}
}

// A pod whose annotation fails or hangs does not delay notifying the others.
func TestRequestSyncOfOneThatFails(t *testing.T) {
	broken := errors.New("etcd is away")
	pods := []*corev1.Pod{readyPod("broken"), readyPod("hangs"), readyPod("a"), readyPod("b")}
	c := newCluster(pods...)
	c.fail = func(ctx context.Context, pod string) error {
		switch pod {
		case "broken":
			return broken
		case "hangs":
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	began := time.Now()
	err := RequestSync(t.Context(), c, pods, wanted)
	if !errors.Is(err, broken) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "annotate pod broken: ") {
		t.Errorf("error %v", err)
	}
	if time.Since(began) > syncTimeout+time.Second {
		t.Errorf("after %s", time.Since(began))
	}
	for _, name := range []string{"a", "b"} {
		at, err := time.Parse(time.RFC3339Nano, c.annotations(t, name)[v1alpha1.AnnotationSyncRequested])
		if err != nil || at.Sub(began) > time.Second {
			t.Errorf("pod %s was told after %s, %v", name, at.Sub(began), err)
		}
	}
}

func TestRequestSyncOfAPodThatIsGone(t *testing.T) {
	if err := RequestVolumeSync(t.Context(), newCluster(), readyPod("a"), wanted); err != nil {
		t.Errorf("error %v: a pod that is gone needs nothing", err)
	}
	c := newCluster(readyPod("a"))
	c.fail = func(context.Context, string) error {
		return apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, "a", errors.New("the UID in the precondition is another one"))
	}
	if err := RequestVolumeSync(t.Context(), c, readyPod("a"), wanted); err != nil {
		t.Errorf("error %v: a pod that another one took the name of needs nothing", err)
	}
}
