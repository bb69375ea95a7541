// Package coalesce makes few, large system calls out of many small reads and writes on a
// TCP connection.
//
// golang.org/x/crypto/ssh reads through a buffer of 4 KiB and writes each SSH packet of 32
// KiB in two parts, which are four system calls for each packet that goes through the
// daemon, plus one for each byte of the client's version line.
package coalesce

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// readBytes is how much is read at once: as much as fits the processor's cache together
	// with the packet in work.
	readBytes = 64 << 10
	// writeBytes is how much is held back before it is written: four packets. More is not faster.
	writeBytes = 128 << 10
	// packetBytes is room for one more packet of SSH, its header, padding and MAC.
	packetBytes = 33 << 10
	// maxHold is how long data waits if its holder makes no progress because the peer's
	// window is closed. The peer has plenty to receive then.
	maxHold = time.Millisecond
)

// Conn is a connection that reads ahead, and holds writes back on demand. A connection that waits has no buffers: they are taken
// when data arrives.
//
// Only one goroutine at a time may call Read, as usual; Write, Hold and Release may be called by any.
type Conn struct {
	net.Conn

	raw     syscall.RawConn // nil if there is no descriptor
	fill    func(fd uintptr) bool
	ahead   *[readBytes]byte
	in      []byte // of ahead: what was received and not read yet
	fillErr error

	mu      sync.Mutex
	holders int
	overdue bool // a Hold has lasted longer than maxHold: do not wait for it
	held    *[writeBytes + packetBytes]byte
	out     int // bytes in held
	err     error
	timer   *time.Timer
}

var (
	readBuffers  = sync.Pool{New: func() any { return new([readBytes]byte) }}
	writeBuffers = sync.Pool{New: func() any { return new([writeBytes + packetBytes]byte) }}
)

// New wraps a connection. Connections other than TCP are passed through.
func New(c net.Conn) *Conn {
	w := &Conn{Conn: c}
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			w.raw, w.fill = raw, w.receive
		}
	}
	return w
}

// Read reads what is available. A buffer is taken when the kernel reports data, and
// returned once it has been read.
func (c *Conn) Read(p []byte) (int, error) {
	switch {
	case len(p) == 0:
		return 0, nil
	case c.raw == nil:
		return c.Conn.Read(p)
	case len(c.in) == 0:
		if err := c.raw.Read(c.fill); err != nil {
			return 0, err
		}
		if err := c.fillErr; err != nil {
			return 0, err
		}
	}
	n := copy(p, c.in)
	if c.in = c.in[n:]; len(c.in) == 0 {
		readBuffers.Put(c.ahead)
		c.ahead = nil
	}
	return n, nil
}

// receive reads from a descriptor, once. It returns false if that would block.
func (c *Conn) receive(fd uintptr) bool {
	buf := readBuffers.Get().(*[readBytes]byte)
	for {
		n, err := unix.Read(int(fd), buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case n > 0:
			c.ahead, c.in, c.fillErr = buf, buf[:n], nil
			return true
		}
		readBuffers.Put(buf)
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		if c.fillErr = io.EOF; err != nil {
			c.fillErr = &net.OpError{Op: "read", Net: "tcp", Addr: c.RemoteAddr(), Err: err}
		}
		return true
	}
}

// RoundTrip returns the shortest round trip that the kernel has measured recently (tcpi_min_rtt,
// tcp(7)), 0 if unknown. The shortest one excludes the time that data waits in the queues of a
// path that is full.
func (c *Conn) RoundTrip() time.Duration {
	if c.raw == nil {
		return 0
	}
	var rtt time.Duration
	_ = c.raw.Control(func(fd uintptr) { // fails for a connection that is closed
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			rtt = time.Duration(info.Min_rtt) * time.Microsecond
		}
	})
	return rtt
}

// Hold makes writes wait for Release, or until there is enough to write. Each Hold needs a
// Release.
func (c *Conn) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holders++
}

// Release ends a Hold, and writes what was held back unless another Hold remains. It
// returns the error of this or an earlier write, after which the connection is unusable.
func (c *Conn) Release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holders--; c.holders > 0 {
		return c.err
	}
	c.overdue = false
	return c.flush()
}

// Write writes p, or keeps a copy while writes are held back.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return 0, c.err
	case (c.holders == 0 || c.overdue) && c.out == 0:
		return c.Conn.Write(p)
	}
	if c.held == nil {
		c.held = writeBuffers.Get().(*[writeBytes + packetBytes]byte)
	}
	if len(p) > len(c.held)-c.out {
		if err := c.flush(); err != nil {
			return 0, err
		}
		return c.Conn.Write(p)
	}
	if c.out == 0 {
		c.arm()
	}
	c.out += copy(c.held[c.out:], p)
	if c.out < writeBytes {
		return len(p), nil
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// arm makes sure that what is held back is eventually written.
func (c *Conn) arm() {
	if c.timer == nil {
		c.timer = time.AfterFunc(maxHold, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.overdue = c.holders > 0
			_ = c.flush() // the next Write returns the error
		})
		return
	}
	c.timer.Reset(maxHold)
}

// flush writes what was held back.
func (c *Conn) flush() error {
	if c.held == nil {
		return c.err
	}
	if c.out > 0 {
		c.timer.Stop()
		if _, err := c.Conn.Write(c.held[:c.out]); err != nil && c.err == nil {
			c.err = err
		}
		c.out = 0
	}
	writeBuffers.Put(c.held)
	c.held = nil
	return c.err
}
