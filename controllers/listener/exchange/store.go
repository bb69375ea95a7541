// Package exchange holds what the controllers of a listener tell each other. Every cell has one writer, and what is in it
// never changes: a controller that is slow, or whose calls hang, keeps the others from nothing.
package exchange

import (
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"

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
	// Users as they were compiled, sorted by namespace and name; an unchanged user is the same pointer.
	Users []*compile.User
	// Blocked is why there is no configuration at all.
	Blocked *conditions.Problem
	// Delivered is what came of writing it.
	Delivered delivery.Result
	// Problems are what is wrong with the lists of CAs and revoked keys. Unreadable are those that cannot be read now.
	Problems   []conditions.Problem
	Unreadable []string
	// Recalled are the host keys that an earlier operator delivered.
	Recalled hostkeys.Recalled
	// Err is why the controller could not do all of its work; it tries again.
	Err error
}

// HostKeys are the host keys that the listener controller has decided on, and written to the status.
type HostKeys struct {
	Private   []render.PrivateHostKey
	Signature string
	// Fingerprints of the same keys.
	Fingerprints []string
}

// Listener has the cells of one listener.
type Listener struct {
	UID types.UID
	// Access is written by the access controller, and HostKeys by the listener controller; nil before the first time.
	Access   atomic.Pointer[Access]
	HostKeys atomic.Pointer[HostKeys]
}

// Store holds the listeners. The zero value is empty and ready to use.
type Store struct {
	mu sync.Mutex
	// listeners by name; mu protects the map.
	listeners map[types.NamespacedName]*Listener
}

// Of returns the cells of a listener. One with the same name and another UID is another one.
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

// Forget drops a listener that is gone.
func (s *Store) Forget(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, name)
}
