// Package heapfloor lets Go's garbage collector wait until there is some garbage.
//
// The collector runs when the heap has doubled. A daemon that holds 4 MiB and receives a
// file, of which golang.org/x/crypto/ssh allocates every packet, would collect some 250 times
// a GiB. There is no setting for the least heap that is worth it, but the percentage can
// follow what is live.
package heapfloor

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Default is how large the heap may grow before it is collected, in bytes. A memory limit
// (GOMEMLIMIT) lowers it to a quarter of that.
const Default = 64 << 20

// standard is the collector's percentage unless the environment says otherwise.
const standard = 100

// Keep lets the heap grow to floor bytes before it is collected, from now on. It does nothing
// if GOGC is set: somebody has decided then.
func Keep(floor int64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		floor = min(floor, limit/4)
	}
	k := &keeper{floor: floor, percent: standard}
	k.adjust()
	k.again()
}

// keeper sets the percentage after each collection.
type keeper struct {
	floor   int64
	percent int
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
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	p := percent(int64(live[0].Value.Uint64()), k.floor)
	// Setting it stops the world for a moment: not for what makes no difference.
	if p < k.percent*3/4 || p > k.percent*5/4 {
		k.percent = p
		debug.SetGCPercent(p)
	}
}

// percent is by how much of what is live the heap may grow.
func percent(live, floor int64) int {
	live = max(live, 1<<20)
	return int(max(standard, (floor-live)*100/live))
}
