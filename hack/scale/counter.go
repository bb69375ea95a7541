package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/rest"
)

// counter is a counting proxy between the operator and the API server. The operator is the real program, so everything is
// counted.
type counter struct {
	proxy *httputil.ReverseProxy

	mu sync.Mutex
	// calls since the last reset, by method and resource; mu guards it.
	calls map[string]calls
}

// calls of one kind.
type calls struct {
	// number of them, without watches.
	number int
	// sent and received are bytes of bodies.
	sent, received int64
}

func newCounter(account *rest.Config) (*counter, error) {
	transport, err := rest.TransportFor(account)
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(account.Host)
	if err != nil {
		return nil, err
	}
	c := &counter{calls: map[string]calls{}}
	c.proxy = &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,                         // watches
		ErrorLog:      log.New(io.Discard, "", 0), // a call that the operator abandoned
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
	}
	return c, nil
}

// ServeHTTP implements http.Handler.
func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "true" {
		c.proxy.ServeHTTP(w, r)
		return
	}
	body := &countingReader{ReadCloser: r.Body}
	r.Body = body
	answer := &countingWriter{ResponseWriter: w}
	c.proxy.ServeHTTP(answer, r)
	key := r.Method + " " + resourceOf(r.URL.Path)
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.calls[key]
	n.number++
	n.sent += body.n.Load()
	n.received += answer.n
	c.calls[key] = n
}

// take returns the counts and resets them.
func (c *counter) take() traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.calls
	c.calls = map[string]calls{}
	return t
}

// peek returns the number of calls since the last reset.
func (c *counter) peek() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, calls := range c.calls {
		n += calls.number
	}
	return n
}

// resourceOf returns the resource, and subresource, of an API path.
func resourceOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return "discovery"
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	if len(parts) > 2 {
		return parts[0] + "/" + parts[2]
	}
	return parts[0]
}

// traffic are calls by method and resource.
type traffic map[string]calls

// writes returns the number of calls that change something.
func (t traffic) writes() (sum calls) {
	for key, n := range t {
		if !strings.HasPrefix(key, http.MethodGet) && !isReview(key) {
			sum.number += n.number
			sum.sent += n.sent
		}
	}
	return sum
}

func (t traffic) reads() (sum calls) {
	for key, n := range t {
		if strings.HasPrefix(key, http.MethodGet) {
			sum.number += n.number
			sum.received += n.received
		}
	}
	return sum
}

// isReview reports whether a POST is a review, which changes nothing.
func isReview(key string) bool { return strings.HasSuffix(key, "reviews") }

// String lists the calls, the most frequent first.
func (t traffic) String() string {
	keys := slices.SortedFunc(maps.Keys(t), func(a, b string) int {
		return cmp.Or(t[b].number-t[a].number, strings.Compare(a, b))
	})
	out := make([]string, 0, len(keys))
	for _, k := range keys {
		out = append(out, fmt.Sprintf("%d %s", t[k].number, k))
	}
	return strings.Join(out, ", ")
}

type countingReader struct {
	io.ReadCloser
	n atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.n.Add(int64(n))
	return n, err
}

type countingWriter struct {
	http.ResponseWriter
	n int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n += int64(n)
	return n, err
}

// Unwrap lets the proxy flush.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
