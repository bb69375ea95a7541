// Package user writes the status of SFTPUsers. The listener's reconciler decides what to write, because it has the
// information; this package writes it to many objects without delaying that reconciler.
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

// Outcome is the result for a user.
type Outcome struct {
	User types.NamespacedName
	// UID and Generation of the SFTPUser that was evaluated.
	UID        types.UID
	Generation int64
	// Conditions are Accepted, ResolvedRefs, Ready and KeysValid.
	Conditions []metav1.Condition
	// Username, Address, KnownHosts, Keys and ProvedHostKeys for the status. KnownHosts are the same for all users of a
	// listener, and not changed.
	Username       string
	Address        string
	KnownHosts     []string
	Keys           []v1alpha1.UserKeyStatus
	ProvedHostKeys []string
	// LastRefusal for the status, nil for none. It is not changed.
	LastRefusal *v1alpha1.LoginRefusal
}

// OutcomeStore holds the latest outcome of each user and wakes the user reconciler for changes. It never blocks: a slow user
// reconciler delays no listener.
type OutcomeStore struct {
	mu sync.RWMutex
	// outcomes has them by listener and then by user; mu protects it and queue.
	outcomes map[types.NamespacedName]map[types.NamespacedName]Outcome
	// queue is the user reconciler's, nil until it runs. It begins with all users.
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// NewOutcomeStore returns an empty store.
func NewOutcomeStore() *OutcomeStore {
	return &OutcomeStore{outcomes: map[types.NamespacedName]map[types.NamespacedName]Outcome{}}
}

// Publish stores the changed outcomes of a listener's users, and removes deleted users.
func (s *OutcomeStore) Publish(listener types.NamespacedName, changed []Outcome, gone []types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.outcomes[listener]
	for _, name := range gone {
		delete(of, name)
	}
	if of == nil && len(changed) > 0 {
		of = map[types.NamespacedName]Outcome{}
		s.outcomes[listener] = of
	}
	for _, o := range changed {
		of[o.User] = o
		if s.queue != nil {
			s.queue.Add(reconcile.Request{NamespacedName: o.User})
		}
	}
	if len(of) == 0 {
		delete(s.outcomes, listener)
	}
}

// Forget drops a deleted listener.
func (s *OutcomeStore) Forget(listener types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.outcomes, listener)
}

// Get returns the outcome of a user at a listener.
func (s *OutcomeStore) Get(listener, user types.NamespacedName) (Outcome, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.outcomes[listener][user]
	return o, ok
}

// Source returns the source of the user reconciler's controller.
func (s *OutcomeStore) Source() source.Source {
	return source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.queue = q
		return nil
	})
}

// Same reports whether two outcomes are equal.
func Same(a, b Outcome) bool {
	return a.UID == b.UID && a.Generation == b.Generation && a.Username == b.Username && a.Address == b.Address &&
		slices.Equal(a.KnownHosts, b.KnownHosts) && slices.Equal(a.Conditions, b.Conditions) &&
		slices.EqualFunc(a.Keys, b.Keys, sameKey) && slices.Equal(a.ProvedHostKeys, b.ProvedHostKeys) &&
		sameRefusal(a.LastRefusal, b.LastRefusal)
}

func sameRefusal(a, b *v1alpha1.LoginRefusal) bool {
	return a == b || a != nil && b != nil && a.Time.Equal(&b.Time) && a.Reason == b.Reason && a.Count == b.Count
}

// sameKey compares without reflection: all keys of a listener are compared each time.
func sameKey(a, b v1alpha1.UserKeyStatus) bool {
	if !a.NotBefore.Equal(b.NotBefore) || !a.ExpirationTime.Equal(b.ExpirationTime) {
		return false
	}
	a.NotBefore, a.ExpirationTime, b.NotBefore, b.ExpirationTime = nil, nil, nil, nil
	return a == b
}
