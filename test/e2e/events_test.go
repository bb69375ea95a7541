package e2e

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// eventReceiver is a receiver that listens in a pod, behind a Service.
type eventReceiver struct {
	mu     sync.Mutex
	status int
	paths  map[string]int
}

func (r *eventReceiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *eventReceiver) got(path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paths[path]
}

// ServeHTTP implements http.Handler.
func (r *eventReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	e, err := cloudevents.NewEventFromHTTPRequest(req)
	var data struct {
		Path string `json:"path"`
	}
	if err == nil {
		err = e.DataAs(&data)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil || req.Header.Get("Authorization") != "Bearer hunter2":
		w.WriteHeader(http.StatusBadRequest)
	case r.status != 0:
		w.WriteHeader(r.status)
	default:
		r.paths[data.Path]++
	}
}

// relayPod returns the running pod of a listener's relay.
func relayPod(t *testing.T, l *v1alpha1.SFTPListener) *corev1.Pod {
	t.Helper()
	var found *corev1.Pod
	eventually(t, time.Minute, "the relay runs", func() bool {
		var pods corev1.PodList
		must(t, kube.List(t.Context(), &pods, client.InNamespace(l.Namespace), client.MatchingLabels{v1alpha1.LabelRelay: l.Name}))
		for i := range pods.Items {
			if p := &pods.Items[i]; p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp.IsZero() && p.Status.PodIP != "" {
				found = p
			}
		}
		return found != nil
	})
	return found
}

// An upload becomes an event that reaches a Service, whatever happens to the relay and however the receiver behaves, and the
// relay can reach nothing else.
func TestEvents(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, "events", nil)
	labels := map[string]string{"app.kubernetes.io/name": "receiver"}
	pod := newBystander(t, ns, "receiver", labels)
	must(t, kube.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "receiver"},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}},
	}))
	must(t, kube.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "receiver"}, StringData: map[string]string{"token": "hunter2"}}))
	r := &eventReceiver{paths: map[string]int{}}
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listenIn(t, pod, 8080)) }()
	t.Cleanup(func() { _ = server.Close() })

	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		withReceipts(s)
		s.Events = &v1alpha1.ListenerEvents{
			TemporaryNames: []string{"*.part"},
			Sinks: []v1alpha1.EventSink{{
				Name: "jobs", ServiceRef: &v1alpha1.EventServiceReference{Name: "receiver", Port: 80},
				Types: []v1alpha1.EventType{"io.sftp-operator.file.published.v1"},
				Authentication: v1alpha1.EventAuthentication{
					BearerSecretRef: &v1alpha1.SecretFileReference{Name: "receiver", Key: "token"},
				},
			}},
		}
	})
	k := newKey(t)
	u := newUser(t, l, ns, "acme", keyAuth(k))
	s := mustLogin(t, l, u.Name, ssh.PublicKeys(k.signer))
	s.roundTrip(t, "/first.csv", 10_000)
	took := eventually(t, 2*time.Minute, "the first event arrives", func() bool { return r.got("/first.csv") > 0 })
	t.Logf("EVENTS the first event after %s", took.Round(time.Millisecond))
	condition(t, l, "EventsDelivered", "True", "")

	s.roundTrip(t, "/renamed.csv.part", 10)
	must(t, s.PosixRename("/renamed.csv.part", "/renamed.csv"))
	eventually(t, time.Minute, "the event of a rename arrives", func() bool { return r.got("/renamed.csv") > 0 })
	if r.got("/renamed.csv.part") > 0 {
		t.Error("there is an event for a temporary name")
	}

	r.answer(http.StatusServiceUnavailable)
	s.roundTrip(t, "/later.csv", 10)
	condition(t, l, "EventsDelivered", "False", v1alpha1.ReasonReceiverFailing)
	must(t, kube.Delete(t.Context(), relayPod(t, l), client.GracePeriodSeconds(0)))
	s.roundTrip(t, "/without-relay.csv", 10)
	r.answer(0)
	eventually(t, 5*time.Minute, "the kept events arrive", func() bool { return r.got("/later.csv") > 0 && r.got("/without-relay.csv") > 0 })
	condition(t, l, "EventsDelivered", "True", "")
	checkReceipts(t, l, s, 4, "/renamed.csv")

	relay := relayPod(t, l)
	reaches(t, relay, net.JoinHostPort(pod.Status.PodIP, "8080"), "the receiver")
	elsewhere := newBystander(t, newNamespace(t, "events-elsewhere", nil), "other", labels)
	reachesNot(t, relay, listenIn(t, elsewhere, 8080).Addr().String(), "a pod in another namespace")
	reachesNot(t, relay, apiServer(t), "the API server's Service")
	reachesNot(t, newBystander(t, ns, "neighbor", nil), net.JoinHostPort(relay.Status.PodIP, "8081"), "the relay's status port")

	update(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Events = nil })
	eventually(t, time.Minute, "the relay is gone", func() bool {
		var pods corev1.PodList
		must(t, kube.List(context.WithoutCancel(t.Context()), &pods, client.InNamespace(ns), client.MatchingLabels{v1alpha1.LabelRelay: l.Name}))
		return len(pods.Items) == 0
	})
	s.roundTrip(t, "/last.csv", 10)
	must(t, s.conn.Close())
}

// condition waits until a listener has a condition, with a reason unless the reason is "".
func condition(t *testing.T, l *v1alpha1.SFTPListener, name, status, reason string) {
	t.Helper()
	eventually(t, 3*time.Minute, strings.Join([]string{name, status, reason}, " "), func() bool {
		must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(l), l))
		for _, c := range l.Status.Conditions {
			if c.Type == name {
				return string(c.Status) == status && (reason == "" || c.Reason == reason)
			}
		}
		return false
	})
}
