package operator

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
)

// requests counts the operator's API requests, by method and resource.
type requests struct {
	mu     sync.Mutex
	counts map[string]int // mu guards it
	// written are the requests that wrote, since the last takeWritten; mu guards it.
	written []string
}

// count makes an account count its requests from now on.
func (r *requests) count(account *rest.Config) {
	account.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{r, next} })
}

// take returns the counts and resets them. Watches and reviews are left out, and so are events, which are written some time
// later.
func (r *requests) take() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.counts
	r.counts = nil
	maps.DeleteFunc(out, func(key string, _ int) bool { return strings.HasSuffix(key, " events") })
	return out
}

// takeWritten returns the requests that wrote, as "PATCH /path", and forgets them. Events are left out.
func (r *requests) takeWritten() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.written
	r.written = nil
	return slices.DeleteFunc(out, func(w string) bool { return strings.Contains(w, "/events") })
}

// writes returns how many of the counted requests wrote.
func writes(counts map[string]int) map[string]int {
	out := maps.Clone(counts)
	maps.DeleteFunc(out, func(key string, _ int) bool { return strings.HasPrefix(key, http.MethodGet) })
	return out
}

type counting struct {
	*requests
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	if query := req.URL.Query(); query.Get("watch") == "" {
		path := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
		for i, part := range path {
			if part == "namespaces" && i+2 < len(path) {
				path = path[i+2:]
				break
			}
		}
		key := req.Method + " " + path[0]
		if len(path) == 3 {
			key += "/" + path[2]
		}
		c.mu.Lock()
		if c.counts == nil {
			c.counts = map[string]int{}
		}
		c.counts[key]++
		if req.Method != http.MethodGet {
			c.written = append(c.written, req.Method+" "+req.URL.Path)
		}
		c.mu.Unlock()
	}
	return c.next.RoundTrip(req)
}
