package health

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"
)

type fake struct {
	net.Conn
	closed bool
}

func (f *fake) Close() error {
	f.closed = true
	return nil
}

// TestPlaces: only the address with the most connections loses its oldest one.
func TestPlaces(t *testing.T) {
	p := newPlaces(nil, MaxConnections)
	now := time.Now()
	conn := func(source string) *placed {
		now = now.Add(time.Second)
		return &placed{Conn: &fake{}, places: p, source: netip.MustParseAddr(source), since: now}
	}
	kubelet := conn("10.0.0.1")
	p.add(kubelet)
	var crowd []*placed
	for range MaxConnections - 1 {
		c := conn("10.0.0.2")
		crowd = append(crowd, c)
		if got := p.add(c); got != nil {
			t.Fatal("displaced where there is room")
		}
	}
	if got := p.add(conn("10.0.0.3")); got != crowd[0] {
		t.Errorf("displaced %v, not the crowd's oldest", got)
	}
	if got := p.add(conn("10.0.0.2")); got != crowd[1] {
		t.Errorf("displaced %v, not the crowd's oldest", got)
	}
	_ = crowd[0].Close() // the server closes it again
	_ = crowd[2].Close()
	if got := p.add(conn("10.0.0.2")); got != nil {
		t.Errorf("displaced %v where one has left", got)
	}
	if len(p.conns) != MaxConnections || p.from[kubelet.source] != 1 || p.from[crowd[0].source] != MaxConnections-2 {
		t.Errorf("%d connections, %v", len(p.conns), p.from)
	}
}

func get(t *testing.T, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// TestInTurn: a limited number of requests is answered at a time, and one whose client does not read its answer does not use up
// a turn.
func TestInTurn(t *testing.T) {
	var mu sync.Mutex
	var now, most int
	two := make(chan struct{}) // closed when two are answered at a time
	h := inTurn(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		if now++; now == 2 && most < 2 {
			close(two)
		}
		most = max(most, now)
		mu.Unlock()
		select {
		case <-two:
		case <-time.After(turnTime / 2):
		}
		time.Sleep(10 * time.Millisecond) // for one more than may be
		mu.Lock()
		now--
		mu.Unlock()
		w.Header().Set("Content-Type", "x/y")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(make([]byte, 8<<20)) // more than the kernel buffers
	}), 2)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close) // after those that read nothing have gone
	for range 3 {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	for range 6 {
		go func() {
			resp, err := get(t, s.URL)
			if err == nil {
				if n, _ := io.Copy(io.Discard, resp.Body); n != 8<<20 || resp.StatusCode != http.StatusTeapot || resp.Header.Get("Content-Type") != "x/y" {
					t.Errorf("%d bytes, %s, %v", n, resp.Status, resp.Header)
				}
				resp.Body.Close()
			} else {
				t.Error(err)
			}
			done <- struct{}{}
		}()
	}
	for range 6 {
		<-done
	}
	mu.Lock()
	defer mu.Unlock()
	if most != 2 {
		t.Errorf("%d at a time", most)
	}
}
