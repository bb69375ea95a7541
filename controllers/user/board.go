// Package user writes the status of SFTPUsers. What to write is decided where it is known, in the reconciler of the listener;
// this package is the light path that carries it to many objects without holding that one up.
package user

import (
	"context"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Outcome is what is known about a user.
type Outcome struct {
	User types.NamespacedName
	// UID and Generation of the SFTPUser that was looked at.
	UID        types.UID
	Generation int64
	// Conditions are Accepted, ResolvedRefs, Ready and KeysValid.
	Conditions []metav1.Condition
	// Username, Address, Keys and ProvedHostKeys for the status.
	Username       string
	Address        string
	Keys           []v1alpha1.UserKeyStatus
	ProvedHostKeys []string
}

// Board holds the latest outcome of each user and wakes the user reconciler for changes. It never blocks: a user reconciler
// that is slow holds up no listener.
type Board struct {
	mu sync.RWMutex
	// outcomes by listener and then by user; mu protects it, and queue.
	outcomes map[types.NamespacedName]map[types.NamespacedName]Outcome
	// queue is the user reconciler's, nil until it runs. It begins with all users.
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// NewBoard returns an empty board.
func NewBoard() *Board {
	return &Board{outcomes: map[types.NamespacedName]map[types.NamespacedName]Outcome{}}
}

// Publish takes the outcomes of users of a listener that have changed, and which users are gone.
func (b *Board) Publish(listener types.NamespacedName, changed []Outcome, gone []types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := b.outcomes[listener]
	for _, name := range gone {
		delete(of, name)
	}
	if of == nil && len(changed) > 0 {
		of = map[types.NamespacedName]Outcome{}
		b.outcomes[listener] = of
	}
	for _, o := range changed {
		of[o.User] = o
		if b.queue != nil {
			b.queue.Add(reconcile.Request{NamespacedName: o.User})
		}
	}
	if len(of) == 0 {
		delete(b.outcomes, listener)
	}
}

// Forget drops a listener that is gone.
func (b *Board) Forget(listener types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.outcomes, listener)
}

// Get returns the outcome of a user at a listener.
func (b *Board) Get(listener, user types.NamespacedName) (Outcome, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	o, ok := b.outcomes[listener][user]
	return o, ok
}

// Source is the source of the user reconciler's controller.
func (b *Board) Source() source.Source {
	return source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.queue = q
		return nil
	})
}

// Same reports whether two outcomes are equal.
func Same(a, b Outcome) bool {
	return a.UID == b.UID && a.Generation == b.Generation && a.Username == b.Username && a.Address == b.Address &&
		slices.Equal(a.Conditions, b.Conditions) && slices.EqualFunc(a.Keys, b.Keys, sameKey) && slices.Equal(a.ProvedHostKeys, b.ProvedHostKeys)
}

// sameKey compares without reflection: all keys of a listener are compared each time.
func sameKey(a, b v1alpha1.UserKeyStatus) bool {
	if !a.NotBefore.Equal(b.NotBefore) || !a.ExpirationTime.Equal(b.ExpirationTime) {
		return false
	}
	a.NotBefore, a.ExpirationTime, b.NotBefore, b.ExpirationTime = nil, nil, nil, nil
	return a == b
}
