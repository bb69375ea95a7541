package main

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// requests is a session that repeatedly sends requests to the daemon, one at a time.
type requests struct {
	conn    *ssh.Client
	session *sftp.Client
	done    sync.WaitGroup
	stop    chan struct{}

	mu    sync.Mutex // guards what follows
	times []time.Duration
	// recording reports whether times are kept.
	recording bool
	err       error
}

// latency of requests.
type latency struct{ p50, p99, most time.Duration }

func (l latency) String() string {
	return fmt.Sprintf("%s / %s / %s", duration(l.p50), duration(l.p99), duration(l.most))
}

func startRequests(address, user string, key ssh.Signer) (*requests, error) {
	conn, err := ssh.Dial("tcp", address, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // it was started just now
		Timeout:         10 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	session, err := sftp.NewClient(conn)
	if err != nil {
		_ = conn.Close() // err is the one to report
		return nil, err
	}
	r := &requests{conn: conn, session: session, stop: make(chan struct{})}
	r.done.Go(r.run)
	return r, nil
}

func (r *requests) run() {
	for {
		select {
		case <-r.stop:
			return
		case <-time.After(time.Millisecond):
		}
		r.mu.Lock()
		recorded := r.recording
		r.mu.Unlock()
		start := time.Now()
		_, err := r.session.Stat(".")
		r.mu.Lock()
		if recorded || r.recording {
			r.times = append(r.times, time.Since(start))
		}
		r.err = err
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// record starts or stops recording the times of requests.
func (r *requests) record(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recording = on
}

// take returns the recorded times of requests, and resets them.
func (r *requests) take() (latency, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.times = nil }()
	if r.err != nil || len(r.times) == 0 {
		return latency{}, fmt.Errorf("the session ended, or was not answered at all: %w", r.err)
	}
	exact := func(q float64) time.Duration {
		sorted := slices.Sorted(slices.Values(r.times))
		return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
	}
	return latency{exact(0.5), exact(0.99), slices.Max(r.times)}, nil
}

func (r *requests) close() {
	close(r.stop)
	_ = r.session.Close() // nothing was written
	_ = r.conn.Close()
	r.done.Wait()
}
