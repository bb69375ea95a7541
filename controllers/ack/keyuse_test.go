package ack

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// The question has the token and what is known already; the answer is what a daemon gives.
func TestKeyUse(t *testing.T) {
	var got *http.Request
	p, end := answering(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = w.Write([]byte(`{"instance":"i2","sequence":9,"uses":[{"uid":"u","fingerprint":"SHA256:k","day":"2026-11-25"}],"newField":1}`))
	})
	defer end()
	r, err := NewHTTPAsker().KeyUse(t.Context(), p, "secret", config.KeyUseReport{Instance: "i1&after=0", Sequence: 7})
	if err != nil || r.Instance != "i2" || r.Sequence != 9 || len(r.Uses) != 1 || r.Uses[0] != (config.KeyUse{UID: "u", Fingerprint: "SHA256:k", Day: "2026-11-25"}) {
		t.Errorf("%+v, %v", r, err)
	}
	q := got.URL.Query()
	if got.URL.Path != "/keyuse" || got.Header.Get("Authorization") != "Bearer secret" || q.Get("instance") != "i1&after=0" || q.Get("after") != "7" {
		t.Errorf("asked for %s with %q", got.URL, got.Header.Get("Authorization"))
	}
}

// A token that a redirection would carry elsewhere is not sent there, and a refusal is told without it.
func TestKeyUseKeepsTheToken(t *testing.T) {
	elsewhere := false
	p, end := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/other" {
			elsewhere = true
		}
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	})
	defer end()
	_, err := NewHTTPAsker().KeyUse(t.Context(), p, "do-not-tell", config.KeyUseReport{})
	if err == nil || elsewhere || strings.Contains(err.Error(), "do-not-tell") {
		t.Errorf("%v, followed: %v", err, elsewhere)
	}
}

// answering serves answers on a loopback address with the health port, as a pod.
func answering(t *testing.T, answer http.HandlerFunc) (p *corev1.Pod, end func()) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.9:8081")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(answer)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	pod := readyPod("a")
	pod.Status.PodIP = "127.0.0.9"
	return &pod, s.Close
}
