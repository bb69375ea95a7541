// Package client is a client of SFTP version 3 for measurements. It sends requests of exactly the given size and
// concurrency, which end-user programs do not.
package client

import (
	"bufio"
	"net"
	"sync"
	"time"
)

const (
	readBuffer  = 256 << 10
	writeBuffer = 1 << 20
	// lastWrites is how long a connection may still write when it is closed.
	lastWrites = 5 * time.Second
)

// conn makes few system calls: it reads ahead, and combines data that is written during a write. The SSH library makes at
// least one call per packet, and on a machine with few CPUs that would measure the client.
type conn struct {
	net.Conn
	reader *bufio.Reader

	mu      sync.Mutex
	changed *sync.Cond
	queue   []byte
	closed  bool
	err     error
}

func newConn(c net.Conn) *conn {
	w := &conn{Conn: c, reader: bufio.NewReaderSize(c, readBuffer)}
	w.changed = sync.NewCond(&w.mu)
	go w.flush()
	return w
}

func (c *conn) Read(p []byte) (int, error) { return c.reader.Read(p) }

func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > writeBuffer && c.err == nil && !c.closed {
		c.changed.Wait()
	}
	switch {
	case c.err != nil:
		return 0, c.err
	case c.closed:
		return 0, net.ErrClosed
	}
	c.queue = append(c.queue, p...)
	c.changed.Broadcast()
	return len(p), nil
}

func (c *conn) flush() {
	var spare []byte
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil {
		for len(c.queue) == 0 && !c.closed {
			c.changed.Wait()
		}
		if len(c.queue) == 0 {
			break
		}
		ready := c.queue
		c.queue = spare[:0]
		c.changed.Broadcast()
		c.mu.Unlock()
		_, err := c.Conn.Write(ready)
		c.mu.Lock()
		spare, c.err = ready, err
	}
	c.changed.Broadcast()
	_ = c.Conn.Close()
}

// Close closes the connection after sending buffered data.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	_ = c.SetWriteDeadline(time.Now().Add(lastWrites))
	c.changed.Broadcast()
	return nil
}
