// Package exchange passes results between the controllers of a listener. Every cell has one writer and immutable content:
// a controller that is slow, or whose calls hang, does not block the others.
package exchange

import (
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Access is what the access controller has compiled and delivered.
type Access struct {
	// Generation of the listener that was compiled.
	Generation int64
	// Users as compiled, sorted by namespace and name; an unchanged user is the same pointer.
	Users []*compile.User
	// Blocked is why there is no configuration at all.
	Blocked *conditions.Problem
	// Delivered is the result of writing it.
	Delivered delivery.Result
	// Problems are what is wrong with the lists of CAs and revoked keys. Unreadable are the lists that currently
	// cannot be read.
	Problems   []conditions.Problem
	Unreadable []string
	// Recalled are the host keys that an earlier operator delivered.
	Recalled hostkeys.Recalled
	// Err is why the controller could not do all of its work; it retries.
	Err error
}

// HostKeys are the host keys that the listener controller has decided on, and written to the status.
type HostKeys struct {
	Private   []render.PrivateHostKey
	Signature string
	// Fingerprints of the same keys.
	Fingerprints []string
}

// Record is the part of a listener's record that decides which users log in where.
type Record struct {
	// Home is the volume that has the home directories, nil if none is recorded.
	Home *v1alpha1.HomeVolume
	// Holders are the users who had a login name before the listener was restored; see attach.Input.
	Holders map[string]types.NamespacedName
	// Places are the users who had a login before that; see attach.Input.
	Places attach.Places
}

// ReceiptKey is the key that signs receipts, as the listener controller has stored it.
type ReceiptKey struct {
	// Private is nil if no receipts are issued.
	Private []byte
}

// Listener has the cells of one listener.
type Listener struct {
	UID types.UID
	// Access is written by the access controller, the others by the listener controller; nil before the first time.
	Access   atomic.Pointer[Access]
	HostKeys atomic.Pointer[HostKeys]
	Record   atomic.Pointer[Record]
	// ReceiptKey has no key for a listener without receipts.
	ReceiptKey atomic.Pointer[ReceiptKey]
}

// Store holds the listeners. The zero value is empty and ready to use.
type Store struct {
	mu sync.Mutex
	// listeners by name; mu protects the map.
	listeners map[types.NamespacedName]*Listener
}

// Of returns the cells of a listener. The same name with a different UID is a different listener.
func (s *Store) Of(name types.NamespacedName, uid types.UID) *Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners == nil {
		s.listeners = map[types.NamespacedName]*Listener{}
	}
	l := s.listeners[name]
	if l == nil || l.UID != uid {
		l = &Listener{UID: uid}
		s.listeners[name] = l
	}
	return l
}

// Forget drops a deleted listener.
func (s *Store) Forget(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, name)
}
