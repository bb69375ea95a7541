package admission

import (
	"errors"
	"net"
	"sync"
	"time"
)

// ErrClosed is what Serve returns after Close.
var ErrClosed = errors.New("server closed")

const (
	// firstBackoff and lastBackoff bound the growing wait after a failed accept: without
	// it, a process that is out of descriptors would take a CPU and fill the log.
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = time.Second
)

// listeners are the listeners being served.
type listeners struct {
	mu     sync.Mutex
	closed bool
	all    []net.Listener
}

// Serve passes the connections of a listener to accepted, which must not block, until the listener is closed, and closes it.
// It returns ErrClosed after Close, otherwise the listener's error. Temporary errors are passed to failed; first is true for
// the first of several in a row. Serve may be called for several listeners.
func (a *Admission) Serve(l net.Listener, accepted func(net.Conn), failed func(err error, first bool)) error {
	defer l.Close()
	if !a.listeners.add(l) {
		return ErrClosed
	}
	wait := time.Duration(0)
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			accepted(c)
			continue
		case a.Closed():
			return ErrClosed
		case errors.Is(err, net.ErrClosed):
			return err
		}
		failed(err, wait == 0)
		wait = min(max(firstBackoff, 2*wait), lastBackoff)
		time.Sleep(wait)
	}
}

// Closed reports whether Close has been called.
func (a *Admission) Closed() bool {
	a.listeners.mu.Lock()
	defer a.listeners.mu.Unlock()
	return a.listeners.closed
}

func (ls *listeners) add(l net.Listener) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return false
	}
	ls.all = append(ls.all, l)
	return true
}

// take returns the listeners to close. No more are served after that.
func (ls *listeners) take() []net.Listener {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	all := ls.all
	ls.closed, ls.all = true, nil
	return all
}

// Close closes the listeners, and refuses connections and logins from now on.
func (a *Admission) Close() {
	all := a.listeners.take()
	a.places.close()
	for _, l := range all {
		_ = l.Close() // Serve returns the error
	}
}
