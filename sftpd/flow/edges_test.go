package flow

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/unexported"
)

// peer is the connection in which x/crypto's key exchanges are detected.
type peer struct {
	ssh.ConnMetadata
	transport *transport
}

type transport struct {
	mu             sync.Mutex
	writeCond      *sync.Cond
	sentInitPacket []byte
	writeError     error
}

// TestKeyExchangeHoldsBack: file data that the daemon sends and consumes waits until a key exchange is over.
func TestKeyExchangeHoldsBack(t *testing.T) {
	for name, use := range map[string]func(s *Stream){
		"read":    func(s *Stream) { _, _ = s.Read(make([]byte, 10)) },
		"write":   func(s *Stream) { _, _ = s.Write([]byte("x")) },
		"discard": func(s *Stream) { s.Discard() },
	} {
		synctest.Test(t, func(t *testing.T) {
			p := peer{transport: &transport{writeError: nil}}
			p.transport.writeCond = sync.NewCond(&p.transport.mu)
			exchange := unexported.KeyExchangeOf(&p)
			if exchange == nil {
				t.Fatal("no exchange")
			}
			c := newCounted(t, NewTotals())
			c.SetExchange(exchange)
			used := 0
			s := c.Open(t.Context(), &usedChannel{used: &used}, never)
			use(s)
			before := used
			if before == 0 {
				t.Fatalf("%s: the channel is not used", name)
			}
			p.transport.sentInitPacket = []byte{1}
			done := make(chan struct{})
			go func() {
				defer close(done)
				use(s)
			}()
			synctest.Wait()
			if used != before {
				t.Errorf("%s: the channel is used in an exchange", name)
			}
			p.transport.mu.Lock()
			p.transport.sentInitPacket = nil
			p.transport.mu.Unlock()
			p.transport.writeCond.Broadcast()
			if <-done; used != 2*before {
				t.Errorf("%s: used %d times, and %d before", name, used-before, before)
			}
		})
	}
}

// usedChannel is a channel that counts its uses.
type usedChannel struct {
	onceRead
	used *int
}

func (u *usedChannel) Read(p []byte) (int, error)  { *u.used++; return len(p), nil }
func (u *usedChannel) Write(p []byte) (int, error) { *u.used++; return len(p), nil }
func (u *usedChannel) Stderr() io.ReadWriter       { return endAt{u} }

// endAt is a channel that ends after some reads.
type endAt struct{ *usedChannel }

func (e endAt) Read([]byte) (int, error) { *e.used++; return 0, io.EOF }

// TestLedgerIsLookedAtNowAndThen: the ledger is checked every 64 KiB, because a check takes longer with each channel.
func TestLedgerIsLookedAtNowAndThen(t *testing.T) {
	totals := NewTotals()
	c := newCounted(t, totals)
	c.Open(t.Context(), nil, never)
	for _, step := range []struct{ n, seen int64 }{
		{1, 1}, {64<<10 - 1, 1}, {1, 64<<10 + 1}, {64<<10 - 1, 64<<10 + 1}, {2, 128<<10 + 2}, {1 << 20, 1<<20 + 128<<10 + 2},
	} {
		c.receive(int(step.n))
		if got := totals.unread.Load(); got != step.seen {
			t.Errorf("%d bytes are seen, want %d", got, step.seen)
		}
	}
}

// TestOneByteIsASignOfLife: a single byte counts as activity, because a client may send one at a time.
func TestOneByteIsASignOfLife(t *testing.T) {
	c := newCounted(t, NewTotals())
	go func() { _, _ = c.there.Write([]byte("x")) }()
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil || c.touched != 1 {
		t.Errorf("%d, %v, touched %d times", n, err, c.touched)
	}
}

// TestBlockedRelease: a Release that TCP blocks is noticed as a stall; data that is merely held back is not one.
func TestBlockedRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounted(t, NewTotals())
		time.Sleep(time.Second)
		c.Hold()
		_, _ = c.Write([]byte("x"))
		if c.Stalled(0) {
			t.Error("what is held back stalls")
		}
		done := make(chan error, 1)
		go func() { done <- c.Release() }()
		time.Sleep(time.Minute)
		if !c.Stalled(time.Minute) || c.Stalled(time.Minute+1) {
			t.Error("it is not seen, or not since then")
		}
		c.there.Close()
		if <-done == nil || c.Stalled(0) {
			t.Error("after its end")
		}
	})
}

// wired is a channel that writes to its connection, as x/crypto's channels do.
type wired struct {
	onceRead
	to *Conn
}

func (w wired) Write(p []byte) (int, error) { return w.to.Write(p) }

// writes is a connection that counts writes, and may fail.
type writes struct {
	net.Conn
	sizes []int
	fail  error
}

func (w *writes) Write(p []byte) (int, error) {
	w.sizes = append(w.sizes, len(p))
	return len(p), w.fail
}

// TestPartsLeaveTogether: an answer is a single write, and fails if that write fails.
func TestPartsLeaveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := &writes{}
		c := NewTotals().Conn(raw, Hooks{Touch: func() {}})
		s := c.Open(t.Context(), wired{to: c}, never)
		if n, err := s.Write(bytes.Repeat([]byte("x"), 3*writePart)); n != 3*writePart || err != nil || !slices.Equal(raw.sizes, []int{3 * writePart}) {
			t.Errorf("%d, %v, %v", n, err, raw.sizes)
		}
		raw.fail = errTest
		if _, err := s.Write([]byte("x")); err == nil {
			t.Error("the failure is not told")
		}
		if _, err := s.Write(nil); err == nil {
			t.Error("nor the next time")
		}
	})
}

// sending is a channel that writes to its connection, and looks at what has been sent by then.
type sending struct {
	wired
	sent func()
}

func (s sending) Write(p []byte) (int, error) {
	n, err := s.wired.Write(p)
	s.sent()
	return n, err
}

// TestShortAnswersAreNotHeld: an answer that x/crypto sends with one write leaves with it, and not with Release.
func TestShortAnswersAreNotHeld(t *testing.T) {
	raw := &writes{}
	c := NewTotals().Conn(raw, Hooks{Touch: func() {}})
	for size, atOnce := range map[int]bool{1: true, 3072: true, 3073: false, writePart + 1: false} {
		raw.sizes = nil
		s := c.Open(t.Context(), sending{wired{to: c}, func() {
			if (len(raw.sizes) > 0) != atOnce {
				t.Errorf("%d bytes: sent at once: %v", size, !atOnce)
			}
		}}, never)
		if n, err := s.Write(make([]byte, size)); n != size || err != nil || !slices.Equal(raw.sizes, []int{size}) {
			t.Errorf("%d bytes: %d, %v, sent as %v", size, n, err, raw.sizes)
		}
	}
	c.writing.begin()
	s := c.Open(t.Context(), wired{to: c}, never)
	if _, err := s.Write([]byte("x")); err != nil || c.Stalled(0) {
		t.Error("a short answer stalls after its end")
	}
}

// TestPausePoll: a paused stream checks ten times a second whether its connection has ended.
func TestPausePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounted(t, NewTotals())
		begin, looks := time.Now(), 0
		s := c.Open(t.Context(), onceRead{3}, func() bool { looks++; return time.Since(begin) < time.Second-50*time.Millisecond })
		if _, err := s.Read(make([]byte, 10)); err != nil || looks != 11 || time.Since(begin) != time.Second {
			t.Errorf("%v, %d looks in %s", err, looks, time.Since(begin))
		}
	})
}

// TestSettledWindow: a channel returns its share of the budget when it ends.
func TestSettledWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := growing(t, func() time.Duration { return time.Millisecond })
		s.conn.mu.Lock()
		s.grow(channelWindow)
		s.conn.mu.Unlock()
		b := s.window.budget
		if b.all != channelWindow || b.users["ada"] != channelWindow {
			t.Fatalf("%d taken", b.all)
		}
		s.Settle()
		if b.all != 0 || len(b.users) != 0 || s.window.idle != nil {
			t.Errorf("%d taken, %v", b.all, s.window.idle)
		}
		if s.tick(); b.all != 0 { // one that was about to arrive
			t.Errorf("%d taken after the end", b.all)
		}
	})
}

// TestRepaying: a promise that lost its cover is repaid by reading around the channel, but no more than is owed; if the cover
// was lost while a read waited, the excess is credited.
func TestRepaying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := growing(t, func() time.Duration { return time.Hour })
		w, a := s.window, s.account
		w.receiver.Pending = bytes.NewReader(make([]byte, 1<<20))
		a.promised, a.covered = 1000, 400
		if n, err := s.Read(make([]byte, 500)); n != 500 || err != nil || a.promised != 500 || w.uncredited != 0 {
			t.Errorf("%d, %v, %d promised, %d not credited", n, err, a.promised, w.uncredited)
		}
		if n, err := s.Read(make([]byte, 500)); n != 100 || err != nil || a.promised != 400 || w.uncredited != 0 {
			t.Errorf("%d, %v, %d promised, %d not credited", n, err, a.promised, w.uncredited)
		}
		if n, err := s.Read(make([]byte, 500)); n != 500 || err != nil || a.promised != 400 || w.uncredited != 500 {
			t.Errorf("%d, %v, %d promised, %d not credited", n, err, a.promised, w.uncredited)
		}
		s.conn.mu.Lock()
		defer s.conn.mu.Unlock()
		a.covered = 0
		if s.consumed(1000, true); a.promised != 0 || w.uncredited != 1100 {
			t.Errorf("%d promised, %d not credited", a.promised, w.uncredited)
		}
		if s.consumed(50, false); w.uncredited != 1100 { // the channel credits it
			t.Errorf("%d not credited", w.uncredited)
		}
	})
}

// TestUnsentCreditIsTakenBack: when a window loses its cover, credit that has not been sent to the client is no longer
// promised. Otherwise it would only be sent once the rest is repaid, and the client may need it for that.
func TestUnsentCreditIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := growing(t, func() time.Duration { return time.Hour })
		s.conn.mu.Lock()
		defer s.conn.mu.Unlock()
		a, r := s.account, s.window.receiver
		s.grow(2 << 20)
		r.TakeBack(1 << 62) // as if it had been sent
		s.grow(4 << 20)
		if a.promised != 6<<20 || a.covered != 6<<20 {
			t.Fatalf("%d promised, %d covered", a.promised, a.covered)
		}
		if s.uncover(); a.promised != 2<<20 || a.covered != 0 || r.Credit(0) != 0 {
			t.Errorf("%d promised, %d covered, %d to be credited", a.promised, a.covered, r.Credit(0))
		}
		s.grow(2 << 20)
		r.Credit(5 << 20) // and more that was read
		if s.uncover(); a.promised != 0 || r.Credit(0) != 3<<20 {
			t.Errorf("%d promised, %d to be credited", a.promised, r.Credit(0))
		}
	})
}

// TestSource: a large window is credited in thirty-two parts, so the channel itself is read only once a part is complete.
func TestSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := growing(t, func() time.Duration { return time.Hour })
		w, a := s.window, s.account
		for name, tc := range map[string]struct {
			promised, uncredited int64
			channel              bool
		}{
			"small":                  {0, 0, true},
			"large":                  {2 << 20, 0, false},
			"nearly a part":          {2 << 20, 128<<10 - 1, false},
			"a part":                 {2 << 20, 128 << 10, true},
			"the largest, nearly so": {14 << 20, 512<<10 - 1, false},
			"the largest":            {14 << 20, 512 << 10, true},
		} {
			a.promised, a.covered, w.uncredited, a.waiting = tc.promised, tc.promised, tc.uncredited, false
			from, most := s.source()
			left := tc.uncredited
			if tc.channel {
				left = 0
			}
			if (from == io.Reader(s.Channel)) != tc.channel || most < 1<<40 || !a.waiting || w.uncredited != left {
				t.Errorf("%s: the channel: %v, %d at most, %d not credited", name, from == io.Reader(s.Channel), most, w.uncredited)
			}
		}
		a.promised, a.covered = 0, 0
		s.window = nil
		if from, _ := s.source(); from != io.Reader(s.Channel) {
			t.Error("without a window")
		}
	})
}

// TestGrow: if x/crypto has the expected structure, a user's stream gets a window with the server's budget and its measurement
// of round trips.
func TestGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := pair(t)
		s.conn.totals.RoundTrip = func() time.Duration { return 7 * time.Second }
		s.Grow("ada")
		w := s.window
		if w == nil || w.user != "ada" || w.budget != s.conn.totals.windows || w.roundTrip() != 7*time.Second || !w.period.Equal(time.Now()) {
			t.Fatalf("%+v", w)
		}
		s.conn.totals.RoundTrip = nil
		if s.Grow("eve"); s.window.user != "eve" || s.window.roundTrip() != 0 { // a pipe has none
			t.Errorf("%+v", s.window)
		}
		other := s.conn.Open(t.Context(), onceRead{}, never)
		if other.Grow("ada"); other.window != nil {
			t.Error("a window of something else")
		}
		other.Settle()
	})
}
