// Package user writes the status of SFTPUsers. What to write is decided where it is
// known, in the reconciler of the listener; this package is the light path that carries
// it to many objects without holding that one up.
package user

import (
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

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

// Board holds the latest outcome of each user and tells the user reconciler of changes.
type Board struct {
	// Changes wakes the user reconciler.
	Changes chan event.TypedGenericEvent[*v1alpha1.SFTPUser]

	mu sync.RWMutex
	// outcomes by listener and then by user. mu protects it.
	outcomes map[types.NamespacedName]map[types.NamespacedName]Outcome
}

// NewBoard returns an empty board.
func NewBoard() *Board {
	return &Board{
		Changes:  make(chan event.TypedGenericEvent[*v1alpha1.SFTPUser], 1024),
		outcomes: map[types.NamespacedName]map[types.NamespacedName]Outcome{},
	}
}

// Publish replaces all outcomes of a listener and wakes the reconciler for those that
// differ from before.
func (b *Board) Publish(listener types.NamespacedName, outcomes []Outcome) {
	next := make(map[types.NamespacedName]Outcome, len(outcomes))
	for _, o := range outcomes {
		next[o.User] = o
	}
	b.mu.Lock()
	before := b.outcomes[listener]
	if len(next) == 0 {
		delete(b.outcomes, listener)
	} else {
		b.outcomes[listener] = next
	}
	b.mu.Unlock()
	for name, o := range next {
		if old, ok := before[name]; !ok || !same(old, o) {
			u := &v1alpha1.SFTPUser{}
			u.Namespace, u.Name = name.Namespace, name.Name
			b.Changes <- event.TypedGenericEvent[*v1alpha1.SFTPUser]{Object: u}
		}
	}
}

// Get returns the outcome of a user at a listener.
func (b *Board) Get(listener, user types.NamespacedName) (Outcome, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	o, ok := b.outcomes[listener][user]
	return o, ok
}

func same(a, b Outcome) bool {
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
