package poll

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// serve serves HTTP on the health port of an address.
func serve(t *testing.T, address string, h http.HandlerFunc) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(address, "8081"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
}

// Pods that have a listener's labels but do not belong to it are neither asked nor annotated, whatever owner they claim. The
// listener's own pod is, over the same network.
func TestForeignPodsAreNeverAsked(t *testing.T) {
	const own, foreign = "127.0.0.21", "127.0.0.22"
	var asked, attacked atomic.Int32
	key := config.StatusKey([][]byte{[]byte("host key")})
	serve(t, own, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != config.StatusPath {
			http.NotFound(w, r)
			return
		}
		body := []byte(`{"digest":"d"}`)
		w.Header().Set(config.ProofHeader, config.StatusProof(key, r.Header.Get(config.NonceHeader), "own", body))
		_, _ = w.Write(body)
	})
	serve(t, foreign, func(w http.ResponseWriter, _ *http.Request) {
		attacked.Add(1)
		part := make([]byte, 1<<20)
		for range 60 {
			_, _ = w.Write(part)
		}
	})
	f := newFleet(t)
	labels := map[string]string{v1alpha1.LabelListener: partners.Name, "app.kubernetes.io/name": "sftpd", "app.kubernetes.io/instance": partners.Name}
	for _, rs := range []*appsv1.ReplicaSet{
		{ObjectMeta: metav1.ObjectMeta{Namespace: partners.Namespace, Name: "theirs", UID: "theirs", Labels: labels, OwnerReferences: owner("Deployment", "their-deployment")}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: partners.Namespace, Name: "stale", UID: "stale", Labels: labels, OwnerReferences: owner("Deployment", "deployment-before")}},
	} {
		if err := f.client.Create(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
	}
	for name, owners := range map[string][]metav1.OwnerReference{
		"no-owner": nil, "their-owner": owner("ReplicaSet", "theirs"), "stale-owner": owner("ReplicaSet", "stale"),
		"gone-owner": owner("ReplicaSet", "rs-before"), "the-deployment": owner("Deployment", "d"), "the-listener": owner("SFTPListener", "l"),
	} {
		f.add(t, name, func(p *corev1.Pod) { p.Labels, p.OwnerReferences, p.Status.PodIP = labels, owners, foreign })
	}
	f.add(t, "own", func(p *corev1.Pod) { p.Status.PodIP = own })
	f.StatusClient = ack.NewHTTPStatusClient()
	f.aimAt(func(t *Target) { t.Keys = ack.Keys{key} })
	for range 5 {
		f.pass(Interval)
		f.poll(t)
	}
	if r, ok := f.Result(partners); !ok || r.Ready != 1 || !r.Done() {
		t.Errorf("%+v, %v", r, ok)
	}
	if asked.Load() == 0 || attacked.Load() != 0 {
		t.Errorf("the listener's pod was asked %d times, others %d times", asked.Load(), attacked.Load())
	}
	if len(f.syncs) > 0 {
		t.Errorf("pods %v were annotated", f.syncs)
	}
	f.aimAt(func(t *Target) { t.Keys, t.Digest = ack.Keys{key}, "d2" })
	f.pass(settle)
	f.poll(t)
	if len(f.syncs) != 1 || f.syncs["own"] != 1 {
		t.Errorf("pods %v were annotated", f.syncs)
	}
}
