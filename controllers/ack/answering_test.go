package ack

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// The keys of a listener before and after a rotation, and those of another listener.
var (
	current  = config.StatusKey([][]byte{[]byte("current")})
	previous = config.StatusKey([][]byte{[]byte("previous")})
	foreign  = config.StatusKey([][]byte{[]byte("foreign")})
	both     = Keys{current, previous}
)

// answering serves answers on a loopback address and the health port, as a pod does.
func answering(t *testing.T, answer http.HandlerFunc) *corev1.Pod {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.9:8081")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(answer)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	p := readyPod("a")
	p.Status.PodIP = "127.0.0.9"
	return p
}

// proven answers with a status, with the proof that a daemon adds.
func proven(key, pod, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(config.ProofHeader, config.StatusProof(key, r.Header.Get(config.NonceHeader), pod, []byte(body)))
		_, _ = w.Write([]byte(body))
	}
}

// sealed answers a key-use request the way a daemon does.
func sealed(t *testing.T, key, pod string, body []byte) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := config.SealKeyUse(key, r.Header.Get(config.NonceHeader), pod, body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(s)
	}
}

func pod(name string, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Status: corev1.PodStatus{
			PodIP:      "192.0.2.1",
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}},
		},
	}
}

func readyPod(name string) *corev1.Pod { return pod(name, corev1.ConditionTrue) }

func TestReady(t *testing.T) {
	ending, nowhere, unknown := readyPod("a"), readyPod("a"), readyPod("a")
	ending.DeletionTimestamp = new(metav1.Now())
	nowhere.Status.PodIP = ""
	unknown.Status.Conditions = nil
	for name, tt := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"ready": {readyPod("a"), true}, "not ready": {pod("a", corev1.ConditionFalse), false},
		"about to end": {ending, false}, "without an address": {nowhere, false}, "of no condition": {unknown, false},
	} {
		if got := Ready(tt.pod); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
