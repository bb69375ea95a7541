// Package watch asks the relays of listeners for the state of their sinks. A relay that does not answer delays nothing:
// requests are made in the background, bounded in number and time, and the last answers are kept in memory.
package watch

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sftp-operator/sftp-operator/controllers/turns"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

const (
	// every is the interval between requests to a relay, and soon the interval until its first answer.
	every = 30 * time.Second
	soon  = 2 * time.Second
	// maxRequests is how many relays are asked at a time, ofNamespace how many of one namespace, so that relays that hang do not keep
	// another namespace's from being asked. requestTimeout bounds the time of a request.
	maxRequests    = 32
	ofNamespace    = maxRequests / 4
	requestTimeout = 2 * time.Second
	// failures is how many requests in a row must fail before a relay counts as not answering: it is replaced when its
	// configuration changes, so a few failures are normal.
	failures = 3
)

// StatusClient asks a relay.
type StatusClient interface {
	Status(ctx context.Context, t Target) (delivery.Status, error)
}

// Target is a relay.
type Target struct {
	// UID of the listener.
	UID types.UID
	// Address of the relay, host:port, and the Key that authenticates requests and answers.
	Address, Key string
}

// Answer is what is known of a relay.
type Answer struct {
	// Known is set once there is something to report: an answer, or several requests without one.
	Known bool
	// Failure is why there is no answer, "" if there is one.
	Failure string
	Status  delivery.Status
}

// Watcher asks relays.
type Watcher struct {
	StatusClient StatusClient
	// Wake wakes the reconciler of a listener whose Answer has changed.
	Wake func(types.NamespacedName)

	mu     sync.Mutex
	relays map[types.NamespacedName]*relay
}

// due is a relay that is due for a request.
type due struct {
	name  types.NamespacedName
	relay *relay
}

type relay struct {
	target Target
	answer Answer
	failed int
	next   time.Time
	asking bool
}

// Set replaces the target for the relay of a listener, nil if it has no relay.
func (w *Watcher) Set(name types.NamespacedName, t *Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t == nil {
		delete(w.relays, name)
		return
	}
	if w.relays == nil {
		w.relays = map[types.NamespacedName]*relay{}
	}
	r := w.relays[name]
	if r == nil || r.target.UID != t.UID {
		r = &relay{}
		w.relays[name] = r
	}
	if r.target != *t {
		r.target, r.next, r.failed = *t, time.Time{}, 0
	}
}

// Get returns what is known of the relay of a listener.
func (w *Watcher) Get(name types.NamespacedName, uid types.UID) Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.relays[name]; r != nil && r.target.UID == uid {
		return r.answer
	}
	return Answer{}
}

// Start implements manager.Runnable.
func (w *Watcher) Start(ctx context.Context) error {
	queue := turns.New[due](ofNamespace)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer queue.Close()
	for range maxRequests {
		workers.Go(func() {
			for namespace, d, ok := queue.Pop(); ok; namespace, d, ok = queue.Pop() {
				w.ask(ctx, d)
				queue.Done(namespace)
			}
		})
	}
	for {
		for _, d := range w.due(time.Now()) {
			queue.Push(d.name.Namespace, d)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(soon / 2):
		}
	}
}

// due returns the relays to ask now.
func (w *Watcher) due(now time.Time) (all []due) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, r := range w.relays {
		if !r.asking && !now.Before(r.next) {
			r.asking = true
			all = append(all, due{name, r})
		}
	}
	return all
}

func (w *Watcher) ask(ctx context.Context, d due) {
	w.mu.Lock()
	target, gone := d.relay.target, w.relays[d.name] != d.relay
	w.mu.Unlock()
	if gone {
		return
	}
	st, err := w.request(ctx, target)
	w.mu.Lock()
	changed := d.relay.note(target, st, err, time.Now())
	w.mu.Unlock()
	if changed && ctx.Err() == nil {
		w.Wake(d.name)
	}
}

// request asks a relay. A panic becomes an error: in a goroutine of its own, it would end the operator.
func (w *Watcher) request(ctx context.Context, t Target) (st delivery.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			ctrl.LoggerFrom(ctx).Error(fmt.Errorf("panic: %v", v), "Asking a relay failed", "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error of the operator")
		}
	}()
	return w.StatusClient.Status(ctx, t)
}

// note stores an answer, and reports whether it has changed.
func (r *relay) note(of Target, st delivery.Status, err error, now time.Time) bool {
	r.asking = false
	if of != r.target {
		return false // it is asked again immediately
	}
	answer := Answer{Known: true, Status: st}
	r.next = now.Add(every)
	if err != nil {
		r.failed++
		if r.failed < failures || !r.answer.Known {
			r.next = now.Add(soon)
		}
		if r.failed < failures {
			return false
		}
		answer = Answer{Known: true, Failure: err.Error()}
	} else {
		r.failed = 0
	}
	if reflect.DeepEqual(answer, r.answer) {
		return false
	}
	r.answer = answer
	return true
}
