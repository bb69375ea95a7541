package flow

import (
	"context"
	"io"
	"time"

	"golang.org/x/crypto/ssh"
)

// writePart is how many bytes of an answer are written at once: the largest channel packet.
const writePart = 32 << 10

// onePart is an answer that x/crypto certainly sends with one write: its packet, with what SSH adds, fits the buffer of 4 KiB that
// x/crypto writes from.
const onePart = 3 << 10

// Stream is a channel with an account.
type Stream struct {
	ssh.Channel
	conn    *Conn
	account *account
	writing waiting
	window  *window // nil if the window cannot be changed
	paused  func() bool
	ctx     context.Context //nolint:containedctx // of the connection; Read has no context of its own
}

// Open returns a channel of the connection with an account. While paused reports true and ctx has not ended, Read waits.
func (c *Conn) Open(ctx context.Context, ch ssh.Channel, paused func() bool) *Stream {
	c.mu.Lock()
	s := &Stream{Channel: ch, conn: c, account: c.ledger.open(), paused: paused, ctx: ctx}
	c.mu.Unlock()
	c.streamsMu.Lock()
	defer c.streamsMu.Unlock()
	c.streams[s] = struct{}{}
	return s
}

// Settle closes the account. Whatever the channel still holds is dropped.
func (s *Stream) Settle() {
	s.conn.streamsMu.Lock()
	delete(s.conn.streams, s)
	s.conn.streamsMu.Unlock()
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.window != nil {
		s.window.closed = true
		s.uncover()
	}
	s.conn.ledger.close(s.account)
}

// Read reads from the channel, and credits the client.
func (s *Stream) Read(p []byte) (int, error) {
	s.wait()
	s.conn.exchange.Wait()
	from, most := s.source()
	p = p[:min(len(p), most)]
	n, err := from.Read(p)
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.account.waiting = false
	s.conn.ledger.consume(s.account, n, n < len(p))
	if s.conn.unread > 0 {
		s.conn.report(min(s.conn.unread, s.conn.ledger.unread()))
	}
	s.consumed(n, from != io.Reader(s.Channel))
	return n, err
}

// pausePoll is how often a paused stream checks again.
const pausePoll = 100 * time.Millisecond

func (s *Stream) wait() {
	for s.paused() && s.ctx.Err() == nil {
		time.Sleep(pausePoll)
	}
}

// Write writes in parts, so that progress is seen, but sends them together. Nothing has to be held back for a short answer, such as
// the three of a small file: the timer and the copy would cost more than everything else here.
func (s *Stream) Write(p []byte) (written int, err error) {
	if len(p) <= onePart {
		written, err = s.writePart(p)
		s.writing.end()
		return written, err
	}
	s.conn.Hold()
	for len(p) > 0 && err == nil {
		var n int
		n, err = s.writePart(p[:min(len(p), writePart)])
		written, p = written+n, p[n:]
	}
	if e := s.conn.Release(); err == nil {
		err = e
	}
	s.writing.end()
	return written, err
}

func (s *Stream) writePart(p []byte) (int, error) {
	s.writing.begin()
	s.conn.hooks.Touch()
	s.conn.exchange.Wait()
	return s.Channel.Write(p)
}

// Discard discards what a client sends as standard error, which SFTP has no use for, so
// that it does not fill the channel's window.
func (s *Stream) Discard() {
	var scratch [1024]byte
	r := s.Stderr()
	for {
		s.conn.exchange.Wait()
		n, err := r.Read(scratch[:])
		s.conn.mu.Lock()
		s.conn.ledger.consumed += int64(n)
		s.conn.mu.Unlock()
		if err != nil {
			return
		}
	}
}

var _ io.ReadWriteCloser = (*Stream)(nil)
