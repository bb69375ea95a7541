// Package heapfloor lets Go's garbage collector wait until there is some garbage.
//
// The collector runs when the heap has doubled. A daemon that holds 4 MiB and receives a
// file, of which golang.org/x/crypto/ssh allocates every packet, would collect some 250 times
// a GiB. There is no setting for the least heap that is worth it, but the percentage can
// follow what is live.
//
// Only packets are worth it. What logins leave lies between what sessions keep, and the more
// of it there is at a time, the more memory the sessions are scattered over.
//
// What is left of busy times is collected, and its memory returned to the system, when they
// are over.
package heapfloor

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
	// quietInterval is how long there has to be little to do before garbage is collected, and
	// quietBytes how much may be allocated meanwhile.
	quietInterval = 5 * time.Second
	quietBytes    = 1 << 20
	// worthBytes is from how much that was allocated since the last collection on that pays.
	worthBytes = 4 << 20
)

// standard is the collector's percentage unless the environment says otherwise.
const standard = 100

// Keep lets the heap grow to floor bytes before it is collected, from now on, while at least
// half of what is allocated are packets: received is how many bytes of them there have been.
// It does nothing if GOGC is set: somebody has decided then.
func Keep(floor int64, received func() uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	k := &keeper{floor: within(floor, debug.SetMemoryLimit(-1)), percent: standard, received: received}
	k.packets, k.all = received(), allocated()
	k.again()
	go tidy(time.Tick(quietInterval), debug.FreeOSMemory)
}

// tidy collects at a tick if little was allocated since the one before, and much since the last
// collection.
func tidy(ticks <-chan time.Time, collect func()) {
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

// keeper sets the percentage after each collection.
type keeper struct {
	floor    int64
	percent  int
	received func() uint64
	// packets and all are what had been received and allocated at the last collection.
	packets, all uint64
}

// sentinel is collected with the next collection. It has a pointer, so that the allocator
// does not put it beside something that lives on.
type sentinel struct{ _ *sentinel }

func (k *keeper) again() {
	runtime.AddCleanup(&sentinel{}, func(k *keeper) {
		k.adjust()
		k.again()
	}, k)
}

func (k *keeper) adjust() {
	p := k.next(k.received(), allocated(), int64(read("/gc/heap/live:bytes")))
	// Setting it stops the world for a moment: not for what makes no difference.
	if p < k.percent*3/4 || p > k.percent*5/4 {
		k.percent = p
		debug.SetGCPercent(p)
	}
}

// next is the percentage after a collection: packets and all are what has been received and
// allocated until then, live is what was left.
func (k *keeper) next(packets, all uint64, live int64) int {
	worth := (packets-k.packets)*2 >= all-k.all
	k.packets, k.all = packets, all
	if !worth {
		return standard
	}
	return percent(live, k.floor)
}

// within is a floor within a memory limit, which is the largest number if there is none.
func within(floor, limit int64) int64 { return min(floor, limit/4) }

// percent is by how much of what is live the heap may grow.
func percent(live, floor int64) int {
	live = max(live, 1<<20)
	return int(max(standard, (floor-live)*100/live))
}
