package operator

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// flood answers on the health port of an address with 60 MiB, and counts the requests.
func flood(t *testing.T, address string) *atomic.Int32 {
	t.Helper()
	var asked atomic.Int32
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(address, "8081"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		part := make([]byte, 64<<10)
		for range 60 << 20 / len(part) {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return &asked
}

// runOn gives a pod an address, as a kubelet would.
func runOn(t *testing.T, p *corev1.Pod, address string) {
	t.Helper()
	p.Status.Phase, p.Status.PodIP, p.Status.PodIPs = corev1.PodRunning, address, []corev1.PodIP{{IP: address}}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if err := api.Status().Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// A tenant's pods with the labels of a listener's pods, even those that claim to belong to a ReplicaSet, are neither asked nor
// annotated while the listener has no pods of its own.
func TestForeignPodsAreNeverAsked(t *testing.T) {
	ns := namespace(t, nil)
	l := newListener(ns, func(l *v1alpha1.SFTPListener) { l.Spec.Replicas = new(int32(0)) })
	create(t, l)
	d := &appsv1.Deployment{}
	eventually(t, func() error {
		return api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "partners-sftp"}, d)
	})
	const address = "127.0.0.31"
	asked := flood(t, address)
	pods.mount(ns, t.TempDir()) // so that the operator would ask over the network
	t.Cleanup(func() { pods.mount(ns, "") })
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "theirs", Labels: d.Spec.Template.Labels},
		Spec:       appsv1.ReplicaSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template},
	}
	create(t, set)
	owners := map[string][]metav1.OwnerReference{
		"without-owner": nil,
		"of-theirs":     {*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))},
		"of-deployment": {*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		"of-listener":   {*metav1.NewControllerRef(l, v1alpha1.GroupVersion.WithKind("SFTPListener"))},
		"of-no-set":     {{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "partners-sftp-1", UID: d.UID, Controller: new(true)}},
	}
	for name, refs := range owners {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: d.Spec.Template.Labels, OwnerReferences: refs},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "sftpd", Image: "theirs"}}},
		}
		create(t, p)
		runOn(t, p, address)
	}
	for i := range 3 { // each is a reason to ask pods
		create(t, newUser(ns, fmt.Sprint("user-", i)))
		time.Sleep(700 * time.Millisecond)
	}
	eventually(t, func() error {
		if got := loadable(t, l); !got["user-2"] {
			return fmt.Errorf("pods would load %v", got)
		}
		return nil
	})
	if n := asked.Load(); n > 0 || pods.asks()[ns] > 0 {
		t.Errorf("foreign pods were asked: %d connections, %d requests", n, pods.asks()[ns])
	}
	for name := range owners {
		p := &corev1.Pod{}
		get(t, p, ns, name)
		if len(p.Annotations) > 0 {
			t.Errorf("pod %s was annotated: %v", name, p.Annotations)
		}
	}
}

// A pod of the listener that answers with 60 MiB costs the operator little memory, and other listeners nothing.
func TestPodThatFloods(t *testing.T) {
	other := readyListener(t, namespace(t, nil))
	ns := namespace(t, nil)
	l := newListener(ns)
	create(t, l)
	const address = "127.0.0.32"
	asked := flood(t, address)
	pods.mount(ns, t.TempDir())
	t.Cleanup(func() { pods.mount(ns, "") })
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p := pod(t, l, "a")
	runOn(t, p, address)
	var peak uint64
	begin := time.Now()
	enough := func() bool {
		return time.Since(begin) > 4*time.Second && (asked.Load() > 0 || time.Since(begin) > 15*slowness())
	}
	for ; !enough(); time.Sleep(5 * time.Millisecond) {
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
	}
	grown := int64(peak) - int64(before.HeapAlloc)
	t.Logf("FLOOD %d answers of 60 MiB; the heap grew by at most %.1f MiB", asked.Load(), float64(grown)/(1<<20))
	if asked.Load() == 0 {
		t.Error("the pod was not asked")
	}
	if grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes, want at most 16 MiB", grown)
	}
	waitFor(t, l, "Programmed", "Unknown", "PodUnreachable", "")
	u := newUser(other.Namespace, "acme")
	create(t, u)
	waitReady(t, u)
}
