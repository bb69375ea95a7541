package gctune

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
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

func TestNext(t *testing.T) {
	const mib = 1 << 20
	k := tuner{floor: 64 * mib}
	for _, tc := range []struct {
		packets, all uint64
		live         int64
		want         int
	}{
		{0, 10 * mib, 2 * mib, standard},            // logins
		{0, 20 * mib, 8 * mib, standard},            // more of them
		{4 * mib, 25 * mib, 8 * mib, 700},           // an upload begins
		{60 * mib, 81 * mib, 8 * mib, 700},          // and continues
		{61 * mib, 130 * mib, 8 * mib, standard},    // listings and logins next to its end
		{100 * mib, 170 * mib, 100 * mib, standard}, // an upload next to thousands of sessions
	} {
		if got := k.next(tc.packets, tc.all, tc.live); got != tc.want {
			t.Errorf("%+v: %d", tc, got)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, tc := range []struct{ floor, limit, want int64 }{
		{64, math.MaxInt64, 64}, {64, 1000, 64}, {64, 100, 25},
	} {
		if got := within(tc.floor, tc.limit); got != tc.want {
			t.Errorf("%+v: %d", tc, got)
		}
	}
}

// TestKeep allocates as many packets as an upload of 256 MiB.
func TestKeep(t *testing.T) {
	t.Setenv("GOGC", "") // until it is available again
	if err := os.Unsetenv("GOGC"); err != nil {
		t.Fatal(err)
	}
	before := debug.SetGCPercent(standard)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	var received atomic.Uint64
	upload := func() uint32 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 1 << 13 {
			kept = make([]byte, 32<<10)
			received.Add(32 << 10)
		}
		runtime.ReadMemStats(&after)
		return after.NumGC - before.NumGC
	}
	without := upload()
	SetMinHeap(Default, received.Load)
	// The collector runs concurrently with the allocations, and the cleanup after it.
	var with uint32
	for range 20 {
		if with = upload(); with*2 < without || with < 6 {
			break
		}
	}
	t.Logf("collections in 256 MiB: %d, with a floor %d", without, with)
	if with*2 > without && with >= 6 {
		t.Errorf("%d collections, without a floor %d", with, without)
	}
}

func TestKeepLeavesGOGC(t *testing.T) {
	t.Setenv("GOGC", "70")
	before := debug.SetGCPercent(70)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	SetMinHeap(Default, func() uint64 { return 0 })
	if got := debug.SetGCPercent(70); got != 70 {
		t.Errorf("the percentage is %d", got)
	}
}

// TestTidy: garbage left by a busy period is collected once, when that period is over.
func TestTidy(t *testing.T) {
	ticks := make(chan time.Time)
	collected := make(chan bool, 10)
	go collectWhenIdle(ticks, func() { collected <- true })
	tick := func() int {
		ticks <- time.Now() // possibly busy before it
		ticks <- time.Now() // quiet
		ticks <- time.Now() // the previous one has been handled
		n := len(collected)
		for range n {
			<-collected
		}
		return n
	}
	ticks <- time.Now()
	if n := tick(); n != 0 {
		t.Errorf("%d collections of nothing", n)
	}
	for range 10 {
		kept = make([]byte, worthBytes)
	}
	if n := tick(); n != 1 {
		t.Errorf("%d collections after a busy time, want 1", n)
	}
	if n := tick(); n != 0 {
		t.Errorf("%d more collections", n)
	}
}
