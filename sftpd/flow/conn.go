package flow

import (
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/coalesce"
	"github.com/sftp-operator/sftp-operator/sftpd/unexported"
)

// checkEvery is how many bytes on the wire pass between two checks of the ledger.
const checkEvery = 64 << 10

// Hooks are called by a Conn. They must not block.
type Hooks struct {
	// Touch is called when something is received, or about to be sent.
	Touch func()
	// Overrun is called when the client has sent more than it may.
	Overrun func()
}

// Conn is a TCP connection that tracks how much has been received but not read from a channel, and for how long the peer has
// accepted no data.
type Conn struct {
	*coalesce.Conn
	hooks   Hooks
	totals  *Totals
	writing waiting
	// exchange is nil before a login.
	exchange *unexported.KeyExchange

	mu     sync.Mutex
	ledger ledger
	next   int64         // bytes received at the next check
	ofUser *atomic.Int64 // unread bytes of all connections of the user, nil before a login
	unread int64         // this connection's part of the totals and the user's

	// streams are the channels that are open. The server's sweep takes this lock.
	streamsMu sync.Mutex
	streams   map[*Stream]struct{}
}

// Conn returns a connection that counts in the totals until Settle.
func (t *Totals) Conn(raw net.Conn, h Hooks) *Conn {
	return &Conn{Conn: coalesce.New(raw), hooks: h, totals: t, streams: map[*Stream]struct{}{}}
}

// Read reads, and calls Overrun when too much is unread.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.totals.received.Add(uint64(n))
	if n > 0 {
		c.hooks.Touch()
	}
	if c.receive(n) {
		c.hooks.Overrun()
	}
	return n, err
}

func (c *Conn) receive(n int) (overrun bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ledger.received += int64(n)
	if c.ledger.received < c.next {
		return false
	}
	c.next = c.ledger.received + checkEvery
	c.report(c.ledger.unread())
	left := c.totals.UnreadLimit - c.totals.unread.Load()
	if c.ofUser != nil {
		left = min(left, c.totals.UnreadLimit/2-c.ofUser.Load())
	}
	return c.ledger.overrun(c.unread, left)
}

// report changes this connection's part of what is unread.
func (c *Conn) report(unread int64) {
	c.totals.unread.Add(unread - c.unread)
	if c.ofUser != nil {
		c.ofUser.Add(unread - c.unread)
	}
	c.unread = unread
}

// SetExchange makes streams wait for the end of key exchanges. It is called before there are any streams.
func (c *Conn) SetExchange(e *unexported.KeyExchange) { c.exchange = e }

// SetUser makes this connection's part count together with those of the user's other connections.
func (c *Conn) SetUser(ofUser *atomic.Int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ofUser.Add(c.unread)
	c.ofUser = ofUser
}

// Settle removes what was unread from the totals, at the end of the connection.
func (c *Conn) Settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report(0)
	c.next = math.MaxInt64
}

// Write writes, or keeps a copy while writes are held back.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing.begin()
	defer c.writing.end()
	c.hooks.Touch()
	c.totals.sent.Add(uint64(len(p)))
	return c.Conn.Write(p)
}

// Release writes what was held back.
func (c *Conn) Release() error {
	c.writing.begin()
	defer c.writing.end()
	c.hooks.Touch()
	return c.Conn.Release()
}

// Stalled reports whether the client has not accepted an answer for a duration, because TCP is blocked or a channel's window is
// closed.
func (c *Conn) Stalled(d time.Duration) bool {
	if c.writing.atLeast(d) {
		return true
	}
	c.streamsMu.Lock()
	defer c.streamsMu.Unlock()
	for s := range c.streams {
		if s.writing.atLeast(d) {
			return true
		}
	}
	return false
}
