package entry

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// collect is how long changes are collected before their listeners are woken: 300 entries that are
// read one after the other should not cause 300 configurations.
const collect = 10 * time.Millisecond

// wakes are the listeners to wake.
type wakes struct {
	*wakeState
}

type wakeState struct {
	wake    func(types.NamespacedName)
	mu      sync.Mutex
	pending map[types.NamespacedName]bool
	signal  chan struct{}
}

func newWakes(wake func(types.NamespacedName)) wakes {
	return wakes{&wakeState{wake: wake, pending: map[types.NamespacedName]bool{}, signal: make(chan struct{}, 1)}}
}

func (w wakes) add(listeners map[types.NamespacedName]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range listeners {
		w.pending[l] = true
	}
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// run wakes listeners until the context ends.
func (w wakes) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.signal:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(collect):
		}
		w.mu.Lock()
		pending := w.pending
		w.pending = map[types.NamespacedName]bool{}
		w.mu.Unlock()
		for l := range pending {
			w.wake(l)
		}
	}
}
