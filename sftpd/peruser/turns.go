package peruser

import (
	"context"
	"slices"
	"sync"
	"time"
)

// lendAfter is how long a turn lasts before another user's may begin. Work that has a turn is done in parts of well below a
// millisecond, so a turn that lasts this long is waiting for a volume and uses no processor. Without the limit a volume that
// never answers would take the places of users of other volumes.
const lendAfter = 20 * time.Millisecond

// turns is a semaphore whose places go to namespaces in rotation, to the users of one namespace in rotation, and to the requests
// of one user in their order. Otherwise a namespace with 200 users would have 200 turns of 201.
type turns struct {
	mu   sync.Mutex
	free int
	// waiting contains the namespaces with waiting users, and users contains these users, next first.
	waiting []string
	users   map[string][]*Account
}

// Turn waits for a turn on a processor, for a part of a request that does not wait for the client. The work must be short, and
// done must be called to end the turn. It returns the context's error.
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

// join takes a free place and returns nil, or waits for one: the channel is closed when there is one.
func (t *turns) join(a *Account) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 { // so no user waits
		t.free--
		return nil
	}
	place := make(chan struct{})
	if len(a.queue) == 0 {
		if len(t.users[a.namespace]) == 0 {
			t.waiting = append(t.waiting, a.namespace)
		}
		t.users[a.namespace] = append(t.users[a.namespace], a)
	}
	a.queue = append(a.queue, place)
	return place
}

// leave stops waiting. A place received meanwhile goes to the next user.
func (t *turns) leave(a *Account, place chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(a.queue, place)
	if i < 0 {
		t.pass()
		return
	}
	if a.queue = slices.Delete(a.queue, i, i+1); len(a.queue) > 0 {
		return
	}
	left := slices.DeleteFunc(t.users[a.namespace], func(w *Account) bool { return w == a })
	if t.keep(a.namespace, left); len(left) == 0 {
		t.waiting = slices.DeleteFunc(t.waiting, func(n string) bool { return n == a.namespace })
	}
}

// keep sets the waiting users of a namespace.
func (t *turns) keep(namespace string, users []*Account) {
	if t.users[namespace] = users; len(users) == 0 {
		delete(t.users, namespace)
	}
}

func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass()
}

// pass gives a place to the next user of the next namespace. Both then wait behind the others for their next one.
func (t *turns) pass() {
	if len(t.waiting) == 0 {
		t.free++
		return
	}
	namespace := t.waiting[0]
	t.waiting = t.waiting[1:]
	users := t.users[namespace]
	a := users[0]
	users = users[1:]
	close(a.queue[0])
	if a.queue = a.queue[1:]; len(a.queue) > 0 {
		users = append(users, a)
	}
	if t.keep(namespace, users); len(users) > 0 {
		t.waiting = append(t.waiting, namespace)
	}
}
