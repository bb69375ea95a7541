// Package gctune sets a minimum heap size for Go's garbage collector.
//
// The collector runs when the heap has doubled. A daemon that holds 4 MiB and receives a file, of which golang.org/x/crypto/ssh
// allocates every packet, would collect about 250 times per GiB. Go has no setting for a minimum heap, but the percentage can be
// adapted to the live heap.
//
// Only packets benefit. Garbage from logins lies between live objects of sessions, and the more of it there is at a time, the
// more memory the sessions are scattered over.
//
// After a busy time, garbage is collected and its memory returned to the system.
package gctune

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Default is how large the heap may grow before it is collected, in bytes. A memory limit
// (GOMEMLIMIT) lowers it to a quarter of that.
const Default = 64 << 20

const (
	// quietInterval is how long the daemon must be nearly idle before garbage is collected, and quietBytes is how much may be
	// allocated in that time.
	quietInterval = 5 * time.Second
	quietBytes    = 1 << 20
	// worthBytes is the minimum allocation since the last collection for which that is
	// worthwhile.
	worthBytes = 4 << 20
)

// standard is the collector's percentage unless the environment says otherwise.
const standard = 100

// SetMinHeap makes the collector wait until the heap has grown to floor bytes, while at least half of the allocations are
// packets: received returns how many bytes of packets there have been. It does nothing if GOGC is set, which takes precedence.
func SetMinHeap(floor int64, received func() uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	k := &tuner{floor: within(floor, debug.SetMemoryLimit(-1)), percent: standard, received: received}
	k.packets, k.all = received(), allocated()
	k.again()
	go collectWhenIdle(time.Tick(quietInterval), debug.FreeOSMemory)
}

// collectWhenIdle collects at a tick if little was allocated since the previous one, and much since the
// last collection.
func collectWhenIdle(ticks <-chan time.Time, collect func()) {
	before := allocated()
	worth := before // when as much as this has been allocated, and worthBytes
	for range ticks {
		now := allocated()
		if now-before < quietBytes && now-worth >= worthBytes {
			collect()
			worth = now
		}
		before = now
	}
}

func allocated() uint64 { return read("/gc/heap/allocs:bytes") }

func read(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// tuner sets the percentage after each collection.
type tuner struct {
	floor    int64
	percent  int
	received func() uint64
	// packets and all are the bytes received and allocated up to the last collection.
	packets, all uint64
}

// sentinel is collected with the next collection. It has a pointer, so that the allocator
// does not put it in a block with live objects.
type sentinel struct{ _ *sentinel }

func (k *tuner) again() {
	runtime.AddCleanup(&sentinel{}, func(k *tuner) {
		k.adjust()
		k.again()
	}, k)
}

func (k *tuner) adjust() {
	p := k.next(k.received(), allocated(), int64(read("/gc/heap/live:bytes")))
	// Setting it briefly stops the world, so skip changes that make no difference.
	if p < k.percent*3/4 || p > k.percent*5/4 {
		k.percent = p
		debug.SetGCPercent(p)
	}
}

// next returns the percentage after a collection: packets and all are the bytes received
// and allocated until then, and live is the live heap.
func (k *tuner) next(packets, all uint64, live int64) int {
	worth := (packets-k.packets)*2 >= all-k.all
	k.packets, k.all = packets, all
	if !worth {
		return standard
	}
	return percent(live, k.floor)
}

// within limits a floor by the memory limit, which is the largest number if there is none.
func within(floor, limit int64) int64 { return min(floor, limit/4) }

// percent returns the GOGC percentage that lets a live heap grow to a floor.
func percent(live, floor int64) int {
	live = max(live, 1<<20)
	return int(max(standard, (floor-live)*100/live))
}
