package flow

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

// TestUnreadIsTheMost: the unread bytes are those of the channel with the most since it was opened or last empty; a channel
// that the server waits for has none.
func TestUnreadIsTheMost(t *testing.T) {
	for range 20 { // map order is random
		var l ledger
		want := func(n int64) {
			t.Helper()
			if got := l.unread(); got != n {
				t.Fatalf("%d bytes are unread, want %d", got, n)
			}
		}
		l.received = 1000
		a := l.open()
		l.received += 100
		b := l.open()
		c := l.open()
		l.received += 50
		want(150)
		l.consume(b, 20, false)
		want(130)
		l.consume(a, 30, true)
		want(0) // 50 arrived for b or c, as many as have been read since
		l.received += 10
		want(10)
		l.received -= 10
		l.close(b)
		l.close(c)
		want(0)
		l.received += 70
		want(70)
		a.waiting = true
		want(0)
	}
}

// TestPromisesAddUp: the larger window of each channel counts.
func TestPromisesAddUp(t *testing.T) {
	for range 20 {
		var l ledger
		for range 2 {
			a := l.open()
			a.promised, a.covered = 5<<20, 5<<20
		}
		alone := int64(unreadBase + 2*unreadPerChannel + 10<<20)
		if l.overrun(alone, unreadOfAll) || !l.overrun(alone+1, unreadOfAll) {
			t.Fatal("alone")
		}
		if least := int64(unreadPerChannel + 10<<20); l.overrun(least, 0) || !l.overrun(least+1, 0) {
			t.Fatal("when all hold much")
		}
	}
}

// ended is a channel that has reached its end.
type ended struct{ onceRead }

func (ended) Read([]byte) (int, error) { return 3, io.EOF }

// TestReadingSettles: data that was read no longer counts as unread, for the connection or in total; the end of a channel is
// passed on.
func TestReadingSettles(t *testing.T) {
	totals := NewTotals()
	c := newCounted(t, totals)
	s := c.Open(t.Context(), ended{}, never)
	c.receive(1 << 20)
	if totals.unread.Load() != 1<<20 {
		t.Fatalf("%d bytes are unread", totals.unread.Load())
	}
	if n, err := s.Read(make([]byte, 10)); n != 3 || !errors.Is(err, io.EOF) || totals.unread.Load() != 0 || c.unread != 0 {
		t.Errorf("%d, %v, %d bytes are unread", n, err, totals.unread.Load())
	}
	c.Settle()
	if c.receive(100<<20) || totals.unread.Load() != 0 {
		t.Error("what comes after the end counts")
	}
}

// TestOverrunOnTheWire: a client that sends more than is being read is reported by the Read that notices it.
func TestOverrunOnTheWire(t *testing.T) {
	totals := NewTotals()
	totals.UnreadLimit = 1
	c := newCounted(t, totals)
	c.Open(t.Context(), nil, never)
	go func() {
		_, _ = c.there.Write(make([]byte, 5<<20))
		c.there.Close()
	}()
	if _, err := io.Copy(io.Discard, c); err != nil || c.overruns == 0 {
		t.Errorf("%v, %d overruns", err, c.overruns)
	}
}

// TestWritesAreSignsOfLife: writes count as activity even if they fail, and their error is returned.
func TestWritesAreSignsOfLife(t *testing.T) {
	c := newCounted(t, NewTotals())
	var got bytes.Buffer
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(&got, c.there) }()
	if n, err := c.Write([]byte("x")); n != 1 || err != nil || c.touched != 1 {
		t.Errorf("%d, %v, touched %d times", n, err, c.touched)
	}
	c.Hold()
	_, _ = c.Write([]byte("y"))
	before := c.touched
	if err := c.Release(); err != nil || c.touched != before+1 {
		t.Errorf("%v, touched %d times", err, c.touched-before)
	}
	c.Close()
	<-done
	if got.String() != "xy" {
		t.Errorf("%q was sent", got.String())
	}
	if _, err := c.Write([]byte("z")); err == nil {
		t.Error("written after the end")
	}
	c.Hold()
	_, _ = c.Write([]byte("z"))
	if err := c.Release(); err == nil {
		t.Error("released after the end")
	}
}

// TestAnyStreamStalls: one waiting stream out of several is enough.
func TestAnyStreamStalls(t *testing.T) {
	for range 20 {
		c := newCounted(t, NewTotals())
		for range 3 {
			c.Open(t.Context(), nil, never)
		}
		for s := range c.streams {
			s.writing.begin()
			break
		}
		if !c.Stalled(0) {
			t.Fatal("a stream is passed over")
		}
	}
}

// TestWaitingForATime: the waiting time is counted from its beginning.
func TestWaitingForATime(t *testing.T) {
	var w waiting
	w.since.Store(int64(time.Since(started) - time.Hour))
	if !w.atLeast(59*time.Minute) || w.atLeast(61*time.Minute) {
		t.Error("not an hour")
	}
}

// TestBudgetEdges: a change that is too small is not made, and users who hold nothing are forgotten.
func TestBudgetEdges(t *testing.T) {
	const least = 256 << 10
	b := &budget{ofAll: 10 << 20, ofUser: 3 << 20, users: map[string]int64{}}
	for _, tc := range []struct{ ask, want int64 }{{least - 1, 0}, {least, least}, {3<<20 - 2*least, 3<<20 - 2*least}, {1 << 20, least}, {1 << 20, 0}} {
		if got := b.take("ada", tc.ask); got != tc.want {
			t.Errorf("asked for %d: %d, want %d", tc.ask, got, tc.want)
		}
	}
	b.give("ada", 1<<20)
	if b.users["ada"] != 2<<20 || b.all != 2<<20 {
		t.Errorf("%v, %d", b.users, b.all)
	}
	if b.give("ada", 2<<20); len(b.users) != 0 || b.all != 0 {
		t.Errorf("%v, %d", b.users, b.all)
	}
}

// TestDescriptorsOfAUser: descriptors are counted one by one, acquiring none changes nothing, and those not given back remain
// counted.
func TestDescriptorsOfAUser(t *testing.T) {
	d := NewDescriptors(300, 0)
	for range 3 {
		d.Acquire("ada")
	}
	d.Release("ada")
	if !d.AcquireAll("bob", 0) || d.total != 2 || d.byUID["ada"] != 2 || len(d.byUID) != 1 {
		t.Errorf("%d, %v", d.total, d.byUID)
	}
}
