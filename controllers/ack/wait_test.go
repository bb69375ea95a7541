package ack

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

const wanted = "d2"

// answers of pods, by name. A pod that is not named answers with an error.
type answers map[string]config.Status

func (a answers) Ask(_ context.Context, pod *corev1.Pod) (config.Status, error) {
	s, ok := a[pod.Name]
	if !ok {
		return config.Status{}, errors.New("connection refused")
	}
	return s, nil
}

func (a answers) KeyUse(context.Context, *corev1.Pod, string, config.KeyUseReport) (config.KeyUseReport, error) {
	return config.KeyUseReport{}, errors.New("connection refused")
}

func pod(name string, ready corev1.ConditionStatus) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Status: corev1.PodStatus{
			PodIP:      "192.0.2.1",
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}},
		},
	}
}

func readyPod(name string) corev1.Pod { return pod(name, corev1.ConditionTrue) }

// cluster counts the patches of each pod.
type cluster struct {
	client.Client
	mu      sync.Mutex
	patches map[string]int
}

func newCluster(pods ...corev1.Pod) *cluster {
	c := &cluster{patches: map[string]int{}}
	b := fake.NewClientBuilder()
	for i := range pods {
		b = b.WithObjects(pods[i].DeepCopy())
	}
	c.Client = b.WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, w client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			c.mu.Lock()
			c.patches[o.GetName()]++
			c.mu.Unlock()
			return w.Patch(ctx, o, p, opts...)
		},
	}).Build()
	return c
}

func (c *cluster) waiter(a Asker) *Waiter {
	return &Waiter{Client: c, Asker: a, Pods: func(ctx context.Context) ([]corev1.Pod, error) {
		var list corev1.PodList
		err := c.List(ctx, &list)
		return list.Items, err
	}}
}

func wait(t *testing.T, c *cluster, a Asker, limit time.Duration) Result {
	t.Helper()
	r, err := c.waiter(a).Wait(t.Context(), wanted, limit)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWaitEndsWhenAllHaveIt(t *testing.T) {
	c := newCluster(readyPod("a"), readyPod("b"))
	r := wait(t, c, answers{"a": {Digest: wanted}, "b": {Digest: wanted, RejectedUIDs: []string{"u"}}}, time.Minute)
	if !r.Done() || r.Ready != 2 || r.Acknowledged != 2 || !r.Rejected["u"] || r.Refused+r.Unreachable != "" {
		t.Errorf("%+v", r)
	}
	if len(c.patches) != 0 {
		t.Errorf("pods that have it already were poked: %v", c.patches)
	}
}

func TestWaitWithoutPods(t *testing.T) {
	r := wait(t, newCluster(), answers{}, time.Minute)
	if r.Done() {
		t.Error("nobody has it, but it says that it is done")
	}
}

func TestPodsThatAreBehindArePoked(t *testing.T) {
	c := newCluster(readyPod("a"), readyPod("b"), pod("starting", corev1.ConditionFalse))
	r := wait(t, c, answers{"a": {Digest: wanted}, "b": {Digest: "d1"}}, time.Millisecond)
	if r.Done() || r.Ready != 2 || r.Acknowledged != 1 {
		t.Errorf("%+v, want one of two", r)
	}
	if c.patches["a"] != 0 || c.patches["b"] != 1 || c.patches["starting"] != 1 {
		t.Errorf("pokes %v, want one of b and one of the pod that may lack only that to become ready", c.patches)
	}
	var poked corev1.Pod
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "b"}, &poked); err != nil {
		t.Fatal(err)
	}
	first := poked.Annotations[v1alpha1.AnnotationPoke]
	if poked.Annotations[v1alpha1.AnnotationConfigDigest] != wanted || first == "" {
		t.Errorf("annotations %v", poked.Annotations)
	}

	// A poke can be swallowed: the next one must be a change again. The pod that starts was told.
	wait(t, c, answers{"a": {Digest: wanted}, "b": {Digest: "d1"}}, time.Millisecond)
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "b"}, &poked); err != nil {
		t.Fatal(err)
	}
	if poked.Annotations[v1alpha1.AnnotationPoke] == first {
		t.Error("the second poke does not differ from the first: the kubelet would not look")
	}
	if c.patches["starting"] != 1 {
		t.Error("a pod that is not ready was told of the same configuration twice")
	}
}

// Pods are told of what was just written before anything is asked, each once.
func TestTell(t *testing.T) {
	told, ending := readyPod("told"), readyPod("ending")
	told.Annotations = map[string]string{v1alpha1.AnnotationConfigDigest: wanted}
	ending.DeletionTimestamp, ending.Finalizers = new(metav1.Now()), []string{"test/keep"}
	nowhere := readyPod("nowhere")
	nowhere.Status.PodIP = ""
	c := newCluster(readyPod("a"), pod("starting", corev1.ConditionFalse), told, ending, nowhere)
	w := c.waiter(answers{})
	if err := w.Tell(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"a": 1, "starting": 1}; !maps.Equal(c.patches, want) {
		t.Errorf("pokes %v, want %v", c.patches, want)
	}
	// What comes 300 ms after another poke brings nothing: the wait begins without one.
	if _, err := w.Wait(t.Context(), wanted, 100*time.Millisecond); err != nil || c.patches["a"] != 1 {
		t.Errorf("%v, pokes %v", err, c.patches)
	}
	w.told = w.told.Add(-pokeTimes[1])
	if _, err := w.Wait(t.Context(), wanted, time.Millisecond); err != nil || c.patches["a"] != 2 {
		t.Errorf("%v, pokes %v: a poke can be swallowed", err, c.patches)
	}
}

// slow acknowledges after some questions.
type slow struct {
	answers
	asked, after int
}

func (s *slow) Ask(context.Context, *corev1.Pod) (config.Status, error) {
	if s.asked++; s.asked > s.after {
		return config.Status{Digest: wanted}, nil
	}
	return config.Status{Digest: "d1"}, nil
}

func TestWaitAsksAgain(t *testing.T) {
	if r := wait(t, newCluster(readyPod("a")), &slow{after: 2}, time.Minute); !r.Done() {
		t.Errorf("%+v", r)
	}
}

func TestWhatPodsSay(t *testing.T) {
	c := newCluster(readyPod("a"))
	r := wait(t, c, answers{"a": {Digest: "d1", FailedDigest: wanted, Error: "no host key"}}, time.Millisecond)
	if r.Done() || r.Refused != "pod a: no host key" {
		t.Errorf("%+v, want what the pod said", r)
	}
	r = wait(t, c, answers{"a": {Digest: "d1", FailedDigest: "d0", Error: "no host key"}}, time.Millisecond)
	if r.Refused != "" {
		t.Errorf("%+v: it refused an older configuration, not this one", r)
	}
	r = wait(t, c, answers{}, time.Millisecond)
	if r.Done() || r.Unreachable != "pod a: connection refused" {
		t.Errorf("%+v, want the error", r)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := newCluster(readyPod("a")).waiter(answers{"a": {}}).Wait(ctx, wanted, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestErrorsOfTheAPIServer(t *testing.T) {
	w := newCluster(readyPod("a")).waiter(answers{"a": {}})
	broken := errors.New("etcd is away")
	w.Client = fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return broken
		},
	}).Build()
	if _, err := w.Wait(t.Context(), wanted, time.Minute); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "annotate pod a: ") {
		t.Errorf("error %v", err)
	}
	w.Pods = func(context.Context) ([]corev1.Pod, error) { return nil, broken }
	if _, err := w.Wait(t.Context(), wanted, time.Minute); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestPokeOfAPodThatIsGone(t *testing.T) {
	if err := Poke(t.Context(), newCluster(), new(readyPod("a")), wanted); err != nil {
		t.Errorf("error %v: a pod that is gone needs nothing", err)
	}
}

func TestReady(t *testing.T) {
	ending, nowhere, unknown := readyPod("a"), readyPod("a"), readyPod("a")
	ending.DeletionTimestamp = new(metav1.Now())
	nowhere.Status.PodIP = ""
	unknown.Status.Conditions = nil
	for name, tt := range map[string]struct {
		pod  corev1.Pod
		want bool
	}{
		"ready": {readyPod("a"), true}, "not ready": {pod("a", corev1.ConditionFalse), false},
		"about to end": {ending, false}, "without an address": {nowhere, false}, "of no condition": {unknown, false},
	} {
		if got := Ready(&tt.pod); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What pods say is the same in whatever order they are listed, and the number of sessions makes no difference.
func TestSurvey(t *testing.T) {
	said := func(sessions int, volume string) config.Status {
		return config.Status{Digest: wanted, Sessions: &sessions, Volumes: []config.VolumeStatus{{Name: volume}}}
	}
	a := answers{"a": said(1, "x"), "b": said(2, "y")}
	pods := []corev1.Pod{readyPod("b"), readyPod("silent-2"), readyPod("a"), readyPod("silent-1")}
	first := Survey(t.Context(), a, pods, wanted)
	if first.Ready != 4 || first.Acknowledged != 2 || pods[0].Name != "b" || pods[2].Name != "a" {
		t.Errorf("%+v of %v", first, pods)
	}
	slices.Reverse(pods)
	a["a"] = said(7, "x")
	if again := Survey(t.Context(), a, pods, wanted); !again.Same(first) || !first.Same(again) {
		t.Errorf("%+v, before %+v", again, first)
	}
	a["a"] = said(7, "z")
	if other := Survey(t.Context(), a, pods, wanted); other.Same(first) {
		t.Errorf("%+v is the same as %+v", other, first)
	}
}
