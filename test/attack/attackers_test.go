package attack

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// attackers hold half-open connections and send garbage, until they are stopped.
type attackers struct {
	addr string
	// halfOpen connections are held at all times: one that ends is opened again. garbage is how many more are opened each second
	// and send something that is not SSH.
	halfOpen, garbage int
	// from returns the address of the n-th connection.
	from func(n int) string

	opened, sent, failed atomic.Int64
	began                time.Time
	stopped              chan struct{}
	running              sync.WaitGroup
}

// oneSource and manySources are the attackers' addresses: one, or 250.
func oneSource(int) string { return "127.0.0.2" }

func manySources(n int) string { return fmt.Sprintf("127.0.%d.%d", 3+n%25, 1+n/25%10) }

// reopenAfter is the delay before a closed half-open connection is opened again: 200 of them make as many attempts as there is
// garbage.
const reopenAfter = 200 * time.Millisecond

func (a *attackers) begin() { a.began, a.stopped = time.Now(), make(chan struct{}) }

func (a *attackers) start() {
	a.begin()
	for n := range a.halfOpen {
		a.running.Go(func() { a.hold(n) })
	}
	// Each pacer sends whatever is due, so that a late one catches up.
	const pacers = 4
	for i := range pacers {
		a.running.Go(func() { a.flood(i, pacers) })
	}
}

// stop ends the attack and returns how long it lasted.
func (a *attackers) stop() time.Duration {
	took := time.Since(a.began)
	close(a.stopped)
	a.running.Wait()
	return took
}

func (a *attackers) over(wait time.Duration) bool {
	select {
	case <-a.stopped:
		return true
	case <-time.After(wait):
		return false
	}
}

// hold keeps a connection open that has sent only a version.
func (a *attackers) hold(n int) {
	for first := true; first || !a.over(reopenAfter); first = false {
		c, err := daemontest.DialFrom(a.addr, a.from(n))
		a.opened.Add(1)
		if err != nil {
			continue // refused before connect(2) returned
		}
		ended := make(chan struct{})
		go func() {
			select {
			case <-a.stopped:
			case <-ended:
			}
			c.Close()
		}()
		_, _ = c.Write([]byte("SSH-2.0-half-open\r\n"))
		var buffer [2048]byte
		for err == nil {
			_, err = c.Read(buffer[:])
		}
		close(ended)
	}
}

var garbage = []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is not SSH\r\n\r\n\x00\xff")

// flood opens every n-th connection at its time.
func (a *attackers) flood(i, of int) {
	if a.garbage == 0 {
		return
	}
	for n := i; ; n += of {
		due := a.began.Add(time.Duration(n) * time.Second / time.Duration(a.garbage))
		if a.over(time.Until(due)) {
			return
		}
		c, err := daemontest.DialFrom(a.addr, a.from(n))
		switch {
		case err == nil:
			_, _ = c.Write(garbage) // it may have been refused already
			c.Close()
			a.sent.Add(1)
		case errors.Is(err, syscall.ECONNRESET): // refused before connect(2) returned
			a.sent.Add(1)
		default:
			a.failed.Add(1)
		}
	}
}
