package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// free returns an address on which nothing listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// While the API server is down or not ready, the process stays alive and reports that.
func TestAwaitAPI(t *testing.T) {
	var ready atomic.Bool
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer api.Close()
	health := free(t)
	done := make(chan error, 1)
	go func() { done <- awaitAPI(t.Context(), &rest.Config{Host: api.URL}, health) }()

	probe := func(path string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+health+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for end := time.Now().Add(15 * time.Second); probe("/healthz") != http.StatusOK; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the liveness probe is not answered")
		}
	}
	if code := probe("/readyz"); code == http.StatusOK {
		t.Error("it says that it is ready")
	}
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	ready.Store(true)
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("it keeps waiting for an API server that is ready")
	}
	if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", health); err != nil {
		t.Errorf("the manager could not have the port: %v", err)
	} else {
		l.Close()
	}
}

func TestAwaitAPIEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := awaitAPI(ctx, &rest.Config{Host: "http://" + free(t)}, "0"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// A server that refuses the request is up: the manager then reports what is wrong.
func TestAwaitAPIThatRefuses(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer api.Close()
	if err := awaitAPI(t.Context(), &rest.Config{Host: api.URL}, "0"); err != nil {
		t.Error(err)
	}
}
