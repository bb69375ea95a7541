package outbox

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestBacklog measures what a backlog costs: its memory, and how long a starting daemon takes to load it. EVENTS_BACKLOG is
// the number of events.
func TestBacklog(t *testing.T) {
	n := 2000
	if v := os.Getenv("EVENTS_BACKLOG"); v != "" {
		if _, err := fmt.Sscan(v, &n); err != nil {
			t.Fatal(err)
		}
	}
	base := t.TempDir()
	set := logSettings{base: base, live: live{sinks: sinks("a"), maxBytes: 4 << 30}}
	r := begin(t, set)
	raw := encoded(t, "/some/directory/a-file-of-a-partner.csv")
	began := time.Now()
	var last *op
	for i := range n {
		o := &op{rec: record{Kind: recorded, User: fmt.Sprint("team/user", i%100), Type: "io.sftp-operator.file.published.v1", Event: raw}}
		r.put(o)
		if last = o; i%1000 == 999 {
			<-o.done
		}
	}
	<-last.done
	wrote := time.Since(began)
	r.stop()
	before := heap()
	began = time.Now()
	next := begin(t, set)
	eventually(t, "open", func() bool { return len(next.status().Problems) == 0 })
	opened := time.Since(began)
	fmt.Printf("EVENTS backlog: events=%d write=%.2fs open=%.2fs memory=%.1fMiB bytes=%.1fMiB\n",
		n, wrote.Seconds(), opened.Seconds(), float64(heap()-before)/(1<<20), float64(next.status().Bytes)/(1<<20))
	if got := next.pendingOf("a"); got != n {
		t.Errorf("%d of %d events", got, n)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkRecord measures the cost of recording an upload when that many end at a time.
func BenchmarkRecord(b *testing.B) {
	for _, parallel := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d-at-a-time", parallel), func(b *testing.B) {
			set := logSettings{base: filepath.Join(b.TempDir(), "log"), pod: "pod-0", live: live{sinks: sinks("a"), maxBytes: 16 << 30}}
			l := newLog(set, slog.New(slog.DiscardHandler), nil)
			done := make(chan struct{})
			go func() { defer close(done); l.run(b.Context()) }()
			raw := encoded(b, "/a")
			var working sync.WaitGroup
			for i := range parallel {
				working.Go(func() {
					for n := i; n < b.N; n += parallel {
						for _, o := range []*op{
							{sync: true, rec: record{Kind: prepared, User: "team/ada", Dir: []byte("/d"), Name: []byte("a"), Event: raw}},
							{rec: record{Kind: recorded, User: "team/ada", Type: "io.sftp-operator.file.published.v1", Event: raw}},
						} {
							l.put(o)
							if err := l.wait(o); err != nil {
								b.Error(err)
							}
						}
					}
				})
			}
			working.Wait()
		})
	}
}
