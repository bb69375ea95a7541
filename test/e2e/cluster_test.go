package e2e

import (
	"context"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// nextPort returns a new node port each time, so that the port of a listener that was just deleted is not requested again.
var nextPort atomic.Int32

func init() { nextPort.Store(30100) }

// newNamespace creates a namespace that enforces Pod Security "restricted" and is deleted with the test.
func newNamespace(t *testing.T, prefix string, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "e2e-" + prefix + "-",
		Labels:       map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	maps.Copy(ns.Labels, labels)
	must(t, kube.Create(t.Context(), ns))
	dumpOnFailure(t, ns.Name)
	t.Cleanup(func() {
		_ = kube.Delete(context.Background(), ns) // the cluster is removed after the tests
	})
	return ns.Name
}

// newListener creates a listener on a node port of 127.0.0.1 and waits until it is ready.
func newListener(t *testing.T, ns, name string, change func(*v1alpha1.SFTPListenerSpec)) *v1alpha1.SFTPListener {
	t.Helper()
	l := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: v1alpha1.SFTPListenerSpec{
			Hostnames: []string{"127.0.0.1"},
			Service:   v1alpha1.ListenerService{Type: v1alpha1.ServiceNodePort, NodePort: new(nextPort.Add(1))},
			Volumes:   []v1alpha1.ListenerVolume{{Name: "data", ClaimTemplate: &v1alpha1.ClaimTemplate{Storage: resource.MustParse("1Gi")}}},
			// All clients in these tests share an address, and some fail on purpose.
			Sources:  v1alpha1.ListenerSources{Penalties: v1alpha1.PenaltiesDisabled},
			Shutdown: v1alpha1.ListenerShutdown{ReadinessDelaySeconds: new(int32(1)), DrainTimeoutSeconds: new(int32(60))},
		},
	}
	if change != nil {
		change(&l.Spec)
	}
	must(t, kube.Create(t.Context(), l))
	waitReady(t, l, 2*time.Minute)
	reachable(t, l)
	return l
}

// reachable waits for the node's proxy, which starts forwarding to a new pod up to a second after the operator has seen that it
// is ready, or later on a busy machine, and refuses connections until then.
func reachable(t *testing.T, l *v1alpha1.SFTPListener) {
	t.Helper()
	eventually(t, time.Minute, "the Service of listener "+l.Name+" is forwarded", func() bool {
		c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", port(l)), 10*time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// slowness returns the factor for times on a busy machine, from SLOW_MACHINE.
func slowness() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("SLOW_MACHINE")); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return time.Second
}

// newUser makes a user and waits until it is ready.
func newUser(t *testing.T, l *v1alpha1.SFTPListener, ns, name string, auth v1alpha1.UserAuthentication) *v1alpha1.SFTPUser {
	t.Helper()
	u := userOf(l, ns, name, auth)
	must(t, kube.Create(t.Context(), u))
	waitReady(t, u, 30*time.Second)
	return u
}

func userOf(l *v1alpha1.SFTPListener, ns, name string, auth v1alpha1.UserAuthentication) *v1alpha1.SFTPUser {
	return &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: v1alpha1.SFTPUserSpec{
			ListenerRef:    v1alpha1.ListenerReference{Namespace: l.Namespace, Name: l.Name},
			Authentication: auth,
		},
	}
}

func newSecret(t *testing.T, ns, name string, data map[string]string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, StringData: data}
	must(t, kube.Create(t.Context(), s))
	return s
}

// conditionsOf returns the conditions of an object of the operator's kinds.
func conditionsOf(t *testing.T, o client.Object) []metav1.Condition {
	t.Helper()
	switch o := o.(type) {
	case *v1alpha1.SFTPListener:
		return o.Status.Conditions
	case *v1alpha1.SFTPUser:
		return o.Status.Conditions
	case *v1alpha1.SFTPKey:
		return o.Status.Conditions
	}
	t.Fatalf("%T has no conditions", o)
	return nil
}

func waitReady(t *testing.T, o client.Object, limit time.Duration) {
	t.Helper()
	waitCondition(t, o, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, limit)
}

// waitCondition waits until a condition of the object's current generation is as wanted, and returns its message. It uses a
// watch, so that the time it takes is the operator's.
func waitCondition(t *testing.T, o client.Object, conditionType string, status metav1.ConditionStatus, reason string, limit time.Duration) string {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(o), o))
		c := meta.FindStatusCondition(conditionsOf(t, o), conditionType)
		if c != nil && c.Status == status && c.Reason == reason && c.ObservedGeneration == o.GetGeneration() {
			return c.Message
		}
		if time.Now().After(deadline) {
			t.Fatalf("%T %s: condition %s is not %s/%s after %s: %+v", o, o.GetName(), conditionType, status, reason, limit, conditionsOf(t, o))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// update changes an object, retrying on conflicts, and returns when the call began that the API server accepted.
func update[T client.Object](t *testing.T, o T, change func(T)) time.Time {
	t.Helper()
	for {
		must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(o), o))
		change(o)
		start := time.Now()
		err := kube.Update(t.Context(), o)
		if err == nil {
			return start
		}
		if !strings.Contains(err.Error(), "the object has been modified") {
			t.Fatal(err)
		}
	}
}

// podsOf returns a listener's pods that are not terminating.
func podsOf(t *testing.T, l *v1alpha1.SFTPListener) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	must(t, kube.List(t.Context(), &list, client.InNamespace(l.Namespace), client.MatchingLabels{v1alpha1.LabelListener: l.Name}))
	var out []corev1.Pod
	for _, p := range list.Items {
		if p.DeletionTimestamp.IsZero() {
			out = append(out, p)
		}
	}
	return out
}

func readyPod(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func port(l *v1alpha1.SFTPListener) string { return strconv.Itoa(int(*l.Spec.Service.NodePort)) }
