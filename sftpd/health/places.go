package health

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// MaxConnections is how many connections the health port accepts at a time. Probes, Prometheus and the operator need a handful;
// each takes a descriptor, which logins also need.
const MaxConnections = 64

// places limits the connections of a listener. When all places are taken, a new connection replaces an old one: the oldest of
// the address that holds the most. So a client that holds connections loses its own, and the kubelet's probe, which takes a
// millisecond, gets in.
type places struct {
	net.Listener
	most int

	mu    sync.Mutex
	conns map[*placed]struct{}
	from  map[netip.Addr]int
}

// placed is a connection that has a place until it is closed.
type placed struct {
	net.Conn
	places *places
	source netip.Addr
	since  time.Time
}

// Limit bounds the connections of a listener.
func Limit(l net.Listener, most int) net.Listener { return newPlaces(l, most) }

func newPlaces(l net.Listener, most int) *places {
	return &places{Listener: l, most: most, conns: map[*placed]struct{}{}, from: map[netip.Addr]int{}}
}

// Accept returns the next connection.
func (p *places) Accept() (net.Conn, error) {
	raw, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &placed{Conn: raw, places: p, since: time.Now()}
	if a, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		c.source = a.AddrPort().Addr().Unmap()
	}
	if displaced := p.add(c); displaced != nil {
		_ = displaced.Conn.Close() // its goroutine notices
	}
	return c, nil
}

// add gives a connection a place. It returns the connection that has to give up its own, nil if there was a free one.
func (p *places) add(c *placed) (displaced *placed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) >= p.most {
		displaced = p.oldestOfGreediest()
		p.remove(displaced)
	}
	p.conns[c] = struct{}{}
	p.from[c.source]++
	return displaced
}

func (p *places) oldestOfGreediest() (oldest *placed) {
	most := 0
	for _, n := range p.from {
		most = max(most, n)
	}
	for c := range p.conns {
		if p.from[c.source] == most && (oldest == nil || c.since.Before(oldest.since)) {
			oldest = c
		}
	}
	return oldest
}

// remove removes a connection, once.
func (p *places) remove(c *placed) {
	if _, there := p.conns[c]; !there {
		return
	}
	delete(p.conns, c)
	if p.from[c.source]--; p.from[c.source] == 0 {
		delete(p.from, c.source)
	}
}

// Close closes the connection and frees its place.
func (c *placed) Close() error {
	c.places.mu.Lock()
	c.places.remove(c)
	c.places.mu.Unlock()
	return c.Conn.Close()
}

// maxRequests is how many requests for metrics are answered at a time. Each gathers all metrics, which takes CPU; the
// others wait, as long as a request may take.
const maxRequests = 2

// inTurn limits the number of concurrent requests. Responses are sent after their turn, so that a client that reads
// slowly does not delay others.
func inTurn(h http.Handler, n int) http.Handler {
	turns := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), turnTime)
		defer cancel()
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			text(w, http.StatusServiceUnavailable, "too many requests for metrics")
			return
		}
		answer := &held{header: w.Header(), code: http.StatusOK}
		func() {
			defer func() { <-turns }()
			h.ServeHTTP(answer, r)
		}()
		w.WriteHeader(answer.code)
		_, _ = w.Write(answer.body) // the client is gone
	})
}

// held is a response that has not been sent.
type held struct {
	header http.Header
	code   int
	body   []byte
}

func (h *held) Header() http.Header  { return h.header }
func (h *held) WriteHeader(code int) { h.code = code }

func (h *held) Write(p []byte) (int, error) {
	h.body = append(h.body, p...)
	return len(p), nil
}
