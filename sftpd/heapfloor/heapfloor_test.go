package heapfloor

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercent(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct{ live, floor, want int64 }{
		{0, 64 * mib, 6300}, // nothing has been collected yet
		{mib, 64 * mib, 6300},
		{4 * mib, 64 * mib, 1500},
		{16 * mib, 64 * mib, 300},
		{32 * mib, 64 * mib, 100},
		{500 * mib, 64 * mib, 100},
		{mib, 0, 100},
	} {
		if got := percent(tc.live, tc.floor); int64(got) != tc.want {
			t.Errorf("%d live, floor %d: %d, want %d", tc.live, tc.floor, got, tc.want)
		}
	}
}

var kept []byte

// collections counts them while 256 MiB are allocated in the packets of an upload.
func collections() uint32 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1 << 13 {
		kept = make([]byte, 32<<10)
	}
	runtime.ReadMemStats(&after)
	return after.NumGC - before.NumGC
}

func TestKeep(t *testing.T) {
	t.Setenv("GOGC", "") // for it to come back
	os.Unsetenv("GOGC")
	before := debug.SetGCPercent(standard)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	without := collections()
	Keep(Default)
	runtime.GC()
	time.Sleep(10 * time.Millisecond) // the cleanup has its own goroutine
	with := collections()
	t.Logf("collections in 256 MiB: %d, with a floor %d", without, with)
	if with*3 > without {
		t.Errorf("%d collections, without a floor %d", with, without)
	}
}

func TestKeepLeavesGOGC(t *testing.T) {
	t.Setenv("GOGC", "70")
	before := debug.SetGCPercent(70)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	Keep(Default)
	if got := debug.SetGCPercent(70); got != 70 {
		t.Errorf("the percentage is %d", got)
	}
}

func TestKeepMinds(t *testing.T) {
	t.Setenv("GOGC", "")
	os.Unsetenv("GOGC")
	limit := debug.SetMemoryLimit(64 << 20)
	before := debug.SetGCPercent(standard)
	t.Cleanup(func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(before) })
	Keep(Default)
	if got := debug.SetGCPercent(standard); got > percent(0, 16<<20) {
		t.Errorf("the percentage is %d with a limit of 64 MiB", got)
	}
}
