package ack

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// asked serves one answer and asks for it.
func asked(t *testing.T, answer http.HandlerFunc) (config.Status, error) {
	t.Helper()
	p, end := answering(t, answer)
	defer end()
	return NewHTTPAsker().Ask(t.Context(), p)
}

func TestAsk(t *testing.T) {
	got, err := asked(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/configz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"digest":"d2","users":3,"rejectedUIDs":["u"],"version":"v2","newField":1}`))
	})
	if err != nil || got.Digest != "d2" || got.Users != 3 || len(got.RejectedUIDs) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// What answers on a pod's address may be anything.
func TestAskDoubtsTheAnswer(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusServiceUnavailable) },
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"a redirection": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.9:8081/other", http.StatusFound)
		},
		"an endless answer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"digest":"` + strings.Repeat("d", 1<<20) + `"}`))
		},
	} {
		if _, err := asked(t, answer); err == nil {
			t.Errorf("%s was believed", name)
		}
	}
	p := readyPod("a")
	p.Status.PodIP = "127.0.0.9"
	if _, err := NewHTTPAsker().Ask(t.Context(), &p); err == nil {
		t.Error("nobody answers, but there is no error")
	}
}
