package peruser

import (
	"context"
	"slices"
	"sync"
	"time"
)

// lendAfter is how long a turn lasts at most before another user's may begin. Work that has a turn is done in parts of well
// below a millisecond, so one that lasts this long waits for a volume and uses no processor. Without the limit a volume that
// never answers would take the places of those who use another one.
const lendAfter = 20 * time.Millisecond

// turns is a semaphore whose places go to users in rotation, and to the requests of one user in their order.
type turns struct {
	mu   sync.Mutex
	free int
	// waiting has the users that wait, next first.
	waiting []*Account
}

// Turn waits for a place to use a processor for a part of a request that the server works on without waiting for its client.
// The work must be short; done gives the place back and has to be called. An error is the context's.
func (a *Account) Turn(ctx context.Context) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if place := a.users.turns.join(a); place != nil {
		select {
		case <-place:
		case <-ctx.Done():
			a.users.turns.leave(a, place)
			return nil, ctx.Err()
		}
	}
	var once sync.Once
	release := func() { once.Do(a.users.turns.release) }
	lend := time.AfterFunc(lendAfter, release)
	return func() {
		lend.Stop()
		release()
	}, nil
}

// join takes a free place and returns nil, or waits for one: the channel is closed when it is there.
func (t *turns) join(a *Account) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 { // so nothing waits
		t.free--
		return nil
	}
	place := make(chan struct{})
	if len(a.queue) == 0 {
		t.waiting = append(t.waiting, a)
	}
	a.queue = append(a.queue, place)
	return place
}

// leave stops waiting. A place that came meanwhile goes to the next.
func (t *turns) leave(a *Account, place chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(a.queue, place)
	if i < 0 {
		t.pass()
		return
	}
	if a.queue = slices.Delete(a.queue, i, i+1); len(a.queue) == 0 {
		t.waiting = slices.DeleteFunc(t.waiting, func(w *Account) bool { return w == a })
	}
}

func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass()
}

// pass gives a place to the next user, who then waits behind the others for the next.
func (t *turns) pass() {
	if len(t.waiting) == 0 {
		t.free++
		return
	}
	a := t.waiting[0]
	t.waiting = t.waiting[1:]
	close(a.queue[0])
	if a.queue = a.queue[1:]; len(a.queue) > 0 {
		t.waiting = append(t.waiting, a)
	}
}
