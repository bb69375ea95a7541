package flow

import (
	"bytes"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/handshake/handshaketest"
)

// pair returns a channel's client and server ends.
func pair(t *testing.T) (client ssh.Channel, served *Stream) {
	t.Helper()
	here, raw := handshaketest.Pipe()
	t.Cleanup(func() { here.Close(); raw.Close() })
	key := handshaketest.Key(t)
	accepted := make(chan *Stream, 1)
	go func() {
		defer close(accepted)
		m := NewTotals().Conn(raw, Hooks{Touch: func() {}, Overrun: func() { raw.Close() }})
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(key)
		_, channels, requests, err := ssh.NewServerConn(m, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		ch, requests, err := (<-channels).Accept()
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		accepted <- m.Open(t.Context(), ch, never)
	}()
	client, requests, err := handshaketest.Dial(t, here).OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	served = <-accepted
	if served == nil {
		t.Fatal("no channel")
	}
	t.Cleanup(served.Settle)
	return client, served
}

// mostOf is how much of a window a client can be expected to use: part of a packet may be in flight, and part of the window not
// credited yet.
func mostOf(window int64) int64 { return window - window/creditParts - 400<<10 }

// TestWindowGrows: over a long distance the client's window grows to as much as the budget allows, shrinks to 2 MiB when it is
// not needed, and no byte is lost or changed.
func TestWindowGrows(t *testing.T) {
	for _, c := range []struct {
		name        string
		ofAll, want int64
		far         bool
	}{
		{"far", windowsOfAll, maxWindow, true},
		{"far, little memory", 3 << 20, channelWindow + 3<<20, true},
		{"far, no memory", leastGrowth - 1, channelWindow, true},
		{"near", windowsOfAll, channelWindow, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testWindow(t, c.ofAll, c.want, c.far) })
		})
	}
}

// blockBytes is the length of a run of equal bytes; the next run has the next value.
const blockBytes = 16 << 10

// counting returns a function that reads a number of bytes and checks that they are the next blocks.
func counting(t *testing.T, s *Stream) func(n int) {
	t.Helper()
	next, left := byte(0), blockBytes
	return func(n int) {
		t.Helper()
		buf := make([]byte, 300<<10)
		for n > 0 {
			got, err := s.Read(buf[:min(n, len(buf))])
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range buf[:got] {
				if b != next {
					t.Fatalf("%d instead of %d", b, next)
				}
				if left--; left == 0 {
					next, left = next+1, blockBytes
				}
			}
			n -= got
		}
	}
}

func testWindow(t *testing.T, ofAll, want int64, far bool) {
	t.Helper()
	client, s := pair(t)
	b := &budget{ofAll: ofAll, ofUser: ofAll, users: map[string]int64{}}
	s.growWithin(b, "ada")
	rtt := 100 * time.Microsecond
	if far {
		rtt = time.Second
	}
	s.window.roundTrip = func() time.Duration { return rtt }
	read, sent := counting(t, s), atomic.Int64{}
	go func() {
		for i := byte(0); ; i++ {
			n, err := client.Write(bytes.Repeat([]byte{i}, blockBytes))
			if err != nil {
				return
			}
			sent.Add(int64(n))
		}
	}()
	// filled sends until the window is closed, and returns how much was sent.
	filled := func() int {
		synctest.Wait()
		return int(sent.Swap(0))
	}
	total := filled()
	// This is what a client does that has filled its window when a round trip ends. The credit of a round may arrive in the next
	// one.
	for round := 0; round < 6 || int64(total) < mostOf(want) && round < 30; round++ {
		s.conn.mu.Lock()
		s.window.period, s.window.bytes = time.Now().Add(-max(rtt, leastPeriod)), 0
		if far {
			s.window.bytes = channelWindow + s.account.promised // in this round trip
		}
		s.conn.mu.Unlock()
		read(total)
		total = filled()
	}
	s.conn.mu.Lock()
	size := channelWindow + s.account.promised
	s.conn.mu.Unlock()
	if size != want || int64(total) > want || int64(total) < mostOf(want) {
		t.Errorf("window of %d bytes, of which the client used %d; want %d", size, total, want)
	}
	if b.all != want-channelWindow {
		t.Errorf("%d of the budget taken", b.all)
	}
	if want == channelWindow {
		return
	}
	s.conn.mu.Lock()
	s.window.needed = false
	s.conn.mu.Unlock()
	s.tick()
	if b.all == 0 {
		t.Error("the window became small while a request was executed")
	}
	s.conn.mu.Lock()
	s.account.waiting = true
	s.window.roundTrip, s.window.rtt = func() time.Duration { return 0 }, 0 // it must not grow again
	s.conn.mu.Unlock()
	s.tick()
	if b.all != 0 || len(b.users) != 0 {
		t.Errorf("%d of the budget still taken", b.all)
	}
	for range 3 { // until the promise is repaid
		read(total)
		total = filled()
	}
	if total > channelWindow || int64(total) < mostOf(channelWindow) {
		t.Errorf("the client used %d bytes of a window that is small again", total)
	}
}

// TestBudget: grants never exceed the budget, nor does a user exceed its share.
func TestBudget(t *testing.T) {
	b := newBudget()
	if b.ofAll != windowsOfAll || b.ofUser != windowsOfUser {
		t.Errorf("without a limit of memory: %d, %d", b.ofAll, b.ofUser)
	}
	const largest = maxWindow - channelWindow
	for _, c := range []struct {
		user string
		want int64
	}{{"eve", largest}, {"eve", largest}, {"eve", windowsOfUser - 2*largest}, {"eve", 0}, {"ada", largest}, {"bob", largest}, {"bob", 4 << 20}, {"bob", 0}} {
		if got := b.take(c.user, largest); got != c.want {
			t.Errorf("%s: %d, want %d", c.user, got, c.want)
		}
	}
	b.give("ada", largest)
	if b.take("bob", largest) == 0 {
		t.Error("what was given back is gone")
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(128 << 20))
	if b := newBudget(); b.ofAll != 16<<20 || b.ofUser != 8<<20 {
		t.Errorf("with 128 MiB of memory: %d, %d", b.ofAll, b.ofUser)
	}
}

// TestLedgerOfLargeWindows: while a promise is covered, its channel may hold that much. It may also do so without cover, unless
// all connections together hold much.
func TestLedgerOfLargeWindows(t *testing.T) {
	var l ledger
	a := l.open()
	a.promised, a.covered = maxWindow-channelWindow, maxWindow-channelWindow
	l.received = maxWindow
	if l.overrun(l.unread(), 0) {
		t.Error("a full window that is covered is too much")
	}
	a.covered = 0
	if l.overrun(l.unread(), unreadOfAll-l.unread()) {
		t.Error("a full window is too much though others hold nothing")
	}
	if !l.overrun(l.unread(), 0) {
		t.Error("a window without cover is not too much though all hold much")
	}
	l.received = unreadBase + unreadPerChannel + a.promised + 1
	if !l.overrun(l.unread(), unreadOfAll) {
		t.Error("more than all that one may hold is not too much")
	}
}
