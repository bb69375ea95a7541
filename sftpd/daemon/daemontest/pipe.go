package daemontest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Pipe is a standard output or error of a daemon that can be blocked, like that of a container whose runtime or node
// disk is stuck.
type Pipe struct {
	t    testing.TB
	r, w *os.File
	to   *buffer

	reading sync.Mutex // held by the reader, and by Block
	unblock func()     // of the last Block
}

// newPipe returns a pipe that accepts everything.
func newPipe(t testing.TB, to *buffer) *Pipe {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &Pipe{t: t, r: r, w: w, to: to}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.copy()
	}()
	t.Cleanup(func() {
		if p.unblock != nil {
			p.unblock()
		}
		r.Close()
		w.Close()
		<-done
	})
	return p
}

func (p *Pipe) copy() {
	scratch := make([]byte, 64<<10)
	for {
		p.reading.Lock()
		n, err := p.r.Read(scratch)
		p.reading.Unlock()
		// Skip what Block has filled the pipe with.
		_, _ = p.to.Write(bytes.ReplaceAll(scratch[:n], []byte{0}, nil))
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // Block takes the lock
		}
	}
}

// Block fills the pipe. Until the returned function is called, each write to it blocks.
func (p *Pipe) Block() (unblock func()) {
	p.t.Helper()
	_ = p.r.SetReadDeadline(time.Unix(1, 0)) // pipes have deadlines
	p.reading.Lock()
	p.fill()
	p.unblock = sync.OnceFunc(func() {
		_ = p.r.SetReadDeadline(time.Time{})
		p.reading.Unlock()
	})
	return p.unblock
}

// Slow fills the pipe and then reads the given number of bytes per second from it, until the returned function is called.
func (p *Pipe) Slow(bytesPerSecond int) (unblock func()) {
	p.t.Helper()
	p.Block()
	all := p.unblock
	_ = p.r.SetReadDeadline(time.Time{})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		const interval = 100 * time.Millisecond
		scratch := make([]byte, max(1, bytesPerSecond/int(time.Second/interval)))
		for {
			select {
			case <-stop:
				return
			case <-time.After(interval):
			}
			n, err := p.r.Read(scratch)
			_, _ = p.to.Write(bytes.ReplaceAll(scratch[:n], []byte{0}, nil))
			if err != nil {
				return
			}
		}
	}()
	p.unblock = sync.OnceFunc(func() {
		_ = p.r.SetReadDeadline(time.Unix(1, 0)) // of a read of an empty pipe
		close(stop)
		<-stopped
		all()
	})
	return p.unblock
}

// fill writes through a separate open file, because the daemon's must remain a blocking one.
func (p *Pipe) fill() {
	p.t.Helper()
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", p.w.Fd()), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer unix.Close(fd)
	for chunk := make([]byte, 4096); len(chunk) > 0; {
		if _, err := unix.Write(fd, chunk); err != nil {
			chunk = chunk[:len(chunk)/2] // what is left of the last page
		}
	}
}

// Close closes the reader's end, like a runtime that has ended.
func (p *Pipe) Close() { p.r.Close() }
