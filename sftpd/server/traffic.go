package server

import (
	"context"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/coalesce"
)

// stallTimeout is how long a client may leave an answer where it is, which is to say take
// less than writePart of it. TCP gives a silent peer three minutes; a client that is
// suspended has mostly asked for less than fits its windows, and does not count.
const stallTimeout = 2 * time.Minute

// unusedTimeout is how long a channel may be open without a subsystem. Clients request it
// at once.
const unusedTimeout = time.Minute

// writePart is how many bytes of an answer are written at once: the largest channel packet.
const writePart = 32 << 10

// checkEvery is how many bytes on the wire pass between two looks at the ledger.
const checkEvery = 64 << 10

// started is where the monotonic clock of this package starts.
var started = time.Now()

// waiting is since when something waits. The zero value does not.
type waiting struct{ since atomic.Int64 }

func (w *waiting) begin() { w.since.Store(int64(time.Since(started))) }
func (w *waiting) end()   { w.since.Store(0) }

// atLeast says whether it has waited for a time.
func (w *waiting) atLeast(d time.Duration) bool {
	since := w.since.Load()
	return since != 0 && time.Since(started)-time.Duration(since) >= d
}

// meter is a TCP connection that knows how much came in and was not read from a channel,
// and since when the peer takes nothing.
type meter struct {
	*coalesce.Conn
	overrun func()
	touch   func() // something is received, or about to be sent
	writing waiting
	// exchange is nil before a login.
	exchange *keyExchange

	mu     sync.Mutex
	ledger ledger
	next   int64 // bytes received at the next look
	// ofAll is what all connections of the server have unread, unread this one's part of it.
	ofAll      *atomic.Int64
	ofUser     *atomic.Int64 // of all connections of the user, nil before a login
	limitOfAll int64
	unread     int64
	total      *atomic.Uint64 // bytes received of all connections there were
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.total.Add(uint64(n))
	if n > 0 {
		m.touch()
	}
	if m.receive(n) {
		m.overrun()
	}
	return n, err
}

func (m *meter) receive(n int) (overrun bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ledger.received += int64(n)
	if m.ledger.received < m.next {
		return false
	}
	m.next = m.ledger.received + checkEvery
	m.report(m.ledger.unread())
	left := m.limitOfAll - m.ofAll.Load()
	if m.ofUser != nil {
		left = min(left, m.limitOfAll/2-m.ofUser.Load())
	}
	return m.ledger.overrun(m.unread, left)
}

// report changes this connection's part of ofAll.
func (m *meter) report(unread int64) {
	m.ofAll.Add(unread - m.unread)
	if m.ofUser != nil {
		m.ofUser.Add(unread - m.unread)
	}
	m.unread = unread
}

// setUser has this connection's part counted with those of the user's others.
func (m *meter) setUser(ofUser *atomic.Int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ofUser.Add(m.unread)
	m.ofUser = ofUser
}

// done takes what was unread off.
func (m *meter) done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report(0)
	m.next = math.MaxInt64
}

func (m *meter) Write(p []byte) (int, error) {
	m.writing.begin()
	defer m.writing.end()
	m.touch()
	return m.Conn.Write(p)
}

// Release writes what was held back.
func (m *meter) Release() error {
	m.writing.begin()
	defer m.writing.end()
	m.touch()
	return m.Conn.Release()
}

// stream is a channel with an account.
type stream struct {
	ssh.Channel
	meter   *meter
	account *account
	writing waiting
	window  *window // nil if it cannot be changed
	audit   *audit.Log
	ctx     context.Context //nolint:containedctx // of the connection, for a Read that has none
}

func (m *meter) open(ctx context.Context, ch ssh.Channel, log *audit.Log) *stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &stream{Channel: ch, meter: m, account: m.ledger.open(), audit: log, ctx: ctx}
}

// release closes the account. What the channel still holds goes with it.
func (s *stream) release() {
	s.meter.mu.Lock()
	defer s.meter.mu.Unlock()
	if s.window != nil {
		s.window.closed = true
		s.uncover()
	}
	s.meter.ledger.close(s.account)
}

func (s *stream) Read(p []byte) (int, error) {
	s.waitForAudit()
	s.meter.exchange.wait()
	from, most := s.source()
	p = p[:min(len(p), most)]
	n, err := from.Read(p)
	s.meter.mu.Lock()
	defer s.meter.mu.Unlock()
	s.account.waiting = false
	s.meter.ledger.consume(s.account, n, n < len(p))
	if s.meter.unread > 0 {
		s.meter.report(min(s.meter.unread, s.meter.ledger.unread()))
	}
	s.consumed(n, from != io.Reader(s.Channel))
	return n, err
}

// auditPoll is how often a session that waits for the audit log looks again.
const auditPoll = 100 * time.Millisecond

// waitForAudit waits while the audit log has not taken a line for some seconds. What a session does is logged when it is
// done, so that without this one could go on reading and writing, and none of it would ever be logged if the process were killed.
func (s *stream) waitForAudit() {
	for s.audit.Blocked() > 0 && s.ctx.Err() == nil {
		time.Sleep(auditPoll)
	}
}

// Write writes in parts, each of which is progress. They leave together.
func (s *stream) Write(p []byte) (written int, err error) {
	s.meter.Hold()
	for len(p) > 0 && err == nil {
		s.writing.begin()
		s.meter.touch()
		s.meter.exchange.wait()
		var n int
		n, err = s.Channel.Write(p[:min(len(p), writePart)])
		written, p = written+n, p[n:]
	}
	if e := s.meter.Release(); err == nil {
		err = e
	}
	s.writing.end()
	return written, err
}

// discard takes what a client sends as its standard error, which nobody may do, so that
// it does not fill the channel's window.
func (s *stream) discard() {
	var scratch [1024]byte
	r := s.Stderr()
	for {
		s.meter.exchange.wait()
		n, err := r.Read(scratch[:])
		s.meter.mu.Lock()
		s.meter.ledger.consumed += int64(n)
		s.meter.mu.Unlock()
		if err != nil {
			return
		}
	}
}

var _ io.ReadWriteCloser = (*stream)(nil)

// stalled says whether the client has not taken its answers for a time.
func (c *conn) stalled(d time.Duration) bool {
	if c.meter.writing.atLeast(d) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.streams {
		if s.writing.atLeast(d) {
			return true
		}
	}
	return false
}
