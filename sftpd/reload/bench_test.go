package reload

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
)

// BenchmarkLoad measures the time from a change to the swap, for a number of users with two keys each, in as many shards as the
// operator creates for them: at startup, after a change to one user, and after a change to the settings, on which all users
// depend.
func BenchmarkLoad(b *testing.B) {
	for _, users := range []int{100, 1000, 10_000, 40_000} {
		dir := configtest.New(b)
		dir.Plain, dir.Shards = true, (users+624)/625
		for i := range users {
			first, _ := configtest.Key(b)
			second, _ := configtest.Key(b)
			dir.AddUser(fmt.Sprintf("partner-%05d", i), "", first.PublicKey(), second.PublicKey())
		}
		before := dir.Files(b)
		dir.Users[0].MaxConnections = 3
		change := dir.Files(b)
		dir.Listener.Limits.MaxConnections++
		settings := dir.Files(b)
		for what, files := range map[string]map[string][]byte{"start": nil, "user": change, "settings": settings} {
			b.Run(fmt.Sprintf("users=%d/%s", users, what), func(b *testing.B) { benchmarkLoad(b, dir, before, files) })
		}
	}
}

// benchmarkLoad alternates between configurations; without a second one it measures the load at startup.
func benchmarkLoad(b *testing.B, dir *configtest.Dir, before, files map[string][]byte) {
	var heap uint64
	for b.Loop() {
		b.StopTimer()
		empty := live()
		l := New(dir.Path, slog.New(slog.DiscardHandler), metrics.New("test"), nil)
		dir.WriteFiles(b, before)
		want := before
		if files != nil {
			if err := l.Load(); err != nil {
				b.Fatal(err)
			}
			dir.WriteFiles(b, files)
			want = files
		}
		b.StartTimer()
		if err := l.Load(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if l.Current().Digest != config.Digest(want[config.ListenerFile]) {
			b.Fatal("another configuration")
		}
		heap = live() - empty
		runtime.KeepAlive(l)
		b.StartTimer()
	}
	b.ReportMetric(float64(heap)/(1<<10), "heap-KiB")
}

// live returns the heap size without garbage.
func live() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
