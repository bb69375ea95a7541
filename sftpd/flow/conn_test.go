package flow

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// counted is a connection whose hooks are counted.
type counted struct {
	*Conn
	there             net.Conn
	touched, overruns int
}

func newCounted(t *testing.T, totals *Totals) *counted {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	c := &counted{there: there}
	c.Conn = totals.Conn(here, Hooks{Touch: func() { c.touched++ }, Overrun: func() { c.overruns++ }})
	return c
}

// TestReceived: data that comes in is read, counted and taken as activity; the end of the connection is not.
func TestReceived(t *testing.T) {
	totals := NewTotals()
	for range 2 {
		c := newCounted(t, totals)
		go func() {
			_, _ = c.there.Write([]byte("hello"))
			c.there.Close()
		}()
		got, err := io.ReadAll(c)
		if string(got) != "hello" || err != nil || c.touched != 1 || c.overruns != 0 {
			t.Errorf("%q, %v, touched %d times, %d overruns", got, err, c.touched, c.overruns)
		}
	}
	if n := totals.Received(); n != 10 {
		t.Errorf("%d bytes have come in", n)
	}
	c := newCounted(t, totals)
	go func() { _, _ = io.Copy(io.Discard, c.there) }()
	if _, err := c.Write([]byte("welcome")); err != nil || totals.Moved() != 17 || totals.Received() != 10 {
		t.Errorf("%v; %d bytes were moved, %d of them came in", err, totals.Moved(), totals.Received())
	}
}

// TestOverrunIsCalled: a client that sends too much is reported, whether it exceeds the limit of its connection, its user, or
// the process.
func TestOverrunIsCalled(t *testing.T) {
	const mib = 1 << 20
	for name, tc := range map[string]struct {
		limit, ofOthers, ofUser int64
		user                    bool
		most                    int64 // that may be unread without an overrun
	}{
		"alone":                  {1000 * mib, 0, 0, false, 12 * mib},
		"others hold much":       {100 * mib, 94 * mib, 0, false, 4 * mib},
		"others hold nearly all": {100 * mib, 99 * mib, 0, false, 4 * mib},
		"the user's others":      {100 * mib, 0, 46 * mib, true, 4 * mib},
		"the user's hold little": {1000 * mib, 0, 10 * mib, true, 12 * mib},
		"a user has a half":      {100 * mib, 0, 40 * mib, true, 5 * mib},
	} {
		totals := NewTotals()
		totals.UnreadLimit = tc.limit
		totals.unread.Store(tc.ofOthers)
		c := newCounted(t, totals)
		var ofUser atomic.Int64
		ofUser.Store(tc.ofUser)
		if tc.user {
			c.SetUser(&ofUser)
		}
		c.Open(t.Context(), nil, never)
		over := int64(0)
		for n := int64(checkEvery); n < 20*mib; n += checkEvery {
			if c.receive(checkEvery) {
				over = n
				break
			}
		}
		// The remainder shrinks as this connection's share grows.
		if most := tc.most; over <= most || over > most+2*checkEvery {
			t.Errorf("%s: overrun after %d KiB, want after %d", name, over>>10, most>>10)
		}
		if tc.user && ofUser.Load() != tc.ofUser+c.unread {
			t.Errorf("%s: the user has %d", name, ofUser.Load())
		}
		c.Settle()
		if totals.unread.Load() != tc.ofOthers || ofUser.Load() != tc.ofUser {
			t.Errorf("%s: after the end %d of all, %d of the user", name, totals.unread.Load(), ofUser.Load())
		}
	}
}

// TestSetUser: data left unread before the login is charged to the user after it.
func TestSetUser(t *testing.T) {
	c := newCounted(t, NewTotals())
	c.Open(t.Context(), nil, never)
	c.receive(1 << 20)
	var ofUser atomic.Int64
	if c.SetUser(&ofUser); ofUser.Load() != 1<<20 || c.unread != 1<<20 {
		t.Errorf("%d, %d", ofUser.Load(), c.unread)
	}
}

// parts is a channel that accepts writes until it fails.
type parts struct {
	onceRead
	sizes  *[]int
	during func()
	fail   error
}

var errTest = errors.New("test")

func (p parts) Write(b []byte) (int, error) {
	if p.during != nil {
		p.during()
	}
	*p.sizes = append(*p.sizes, len(b))
	if p.fail != nil {
		return 1, p.fail
	}
	return len(b), nil
}

// TestStreamWrites: an answer is written in parts of at most the largest packet, each of which counts as activity.
func TestStreamWrites(t *testing.T) {
	c := newCounted(t, NewTotals())
	var sizes []int
	s := c.Open(t.Context(), parts{sizes: &sizes}, never)
	n, err := s.Write(make([]byte, 2*writePart+5))
	if n != 2*writePart+5 || err != nil || !slices.Equal(sizes, []int{32768, 32768, 5}) || c.touched < 3 {
		t.Errorf("%d, %v, %v, touched %d times", n, err, sizes, c.touched)
	}
	sizes = nil
	s.Channel = parts{sizes: &sizes, fail: errTest}
	if n, err := s.Write(make([]byte, 2*writePart)); n != 1 || !errors.Is(err, errTest) || len(sizes) != 1 {
		t.Errorf("a failure: %d, %v, %v", n, err, sizes)
	}
	if c.Stalled(0) {
		t.Error("a stream waits after its end")
	}
}

// TestStalledStream: a channel whose window is closed is reported until it is settled.
func TestStalledStream(t *testing.T) {
	c := newCounted(t, NewTotals())
	var sizes []int
	release, begun := make(chan struct{}), make(chan struct{})
	s := c.Open(t.Context(), parts{sizes: &sizes, during: func() { close(begun); <-release }}, never)
	done := make(chan struct{})
	go func() { defer close(done); _, _ = s.Write([]byte("x")) }()
	<-begun
	if !c.Stalled(0) || c.Stalled(time.Hour) {
		t.Error("a write that waits is not seen")
	}
	s.Settle()
	if c.Stalled(0) || len(c.ledger.accounts) != 0 {
		t.Error("a settled stream stalls its connection")
	}
	close(release)
	<-done
}

// TestPaused: a paused stream reads again once it is resumed or its connection has ended.
func TestPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		totals := NewTotals()
		c := newCounted(t, totals)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		begin := time.Now()
		s := c.Open(ctx, onceRead{3}, func() bool { return time.Since(begin) < time.Second })
		if n, err := s.Read(make([]byte, 10)); n != 3 || err != nil || time.Since(begin) != time.Second {
			t.Errorf("%d, %v after %s", n, err, time.Since(begin))
		}
		s.paused = func() bool { return true }
		time.AfterFunc(time.Second-1, cancel) // just before it looks again
		if _, _ = s.Read(make([]byte, 10)); time.Since(begin) != 2*time.Second {
			t.Errorf("the end of the connection is seen after %s", time.Since(begin))
		}
	})
}

// errors of standard error
type stderr struct {
	onceRead
	text io.Reader
}

func (s stderr) Stderr() io.ReadWriter {
	return struct {
		io.Reader
		io.Writer
	}{s.text, io.Discard}
}

// TestDiscard: data that no consumer wants is received, and counts as read.
func TestDiscard(t *testing.T) {
	c := newCounted(t, NewTotals())
	s := c.Open(t.Context(), stderr{text: strings.NewReader(strings.Repeat("x", 5000))}, never)
	s.Discard()
	if c.ledger.consumed != 5000 {
		t.Errorf("%d bytes", c.ledger.consumed)
	}
}

// TestDescriptors: a third of the unreserved descriptors is for files, a quarter limits the number of connections, and a
// request for several gets all or none.
func TestDescriptors(t *testing.T) {
	for _, tc := range []struct {
		process, reserved  uint64
		files, connections int
	}{
		{1024, 24, 333, 250}, {24, 24, 0, 1}, {10, 24, 0, 1}, {28, 24, 1, 1}, {32, 24, 2, 2}, {math.MaxUint64, 24, math.MaxInt32, math.MaxInt32},
	} {
		if d, n := NewDescriptors(tc.process, tc.reserved), MostConnections(tc.process, tc.reserved); d.Limit != tc.files || n != tc.connections {
			t.Errorf("%+v: %d files, %d connections", tc, d.Limit, n)
		}
	}
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || OpenFilesLimit() != l.Cur {
		t.Errorf("%v, %d, want %d", err, OpenFilesLimit(), l.Cur)
	}
	d := NewDescriptors(30, 0)
	for _, step := range []struct {
		uid  string
		n    int
		want bool
	}{{"ada", 0, true}, {"ada", 6, false}, {"ada", 5, true}, {"ada", 1, false}, {"bob", 3, true}, {"bob", 1, false}, {"bob", 0, true}, {"eve", 1, true}} {
		before := d.total
		if got := d.AcquireAll(step.uid, step.n); got != step.want {
			t.Errorf("%+v: %v", step, got)
		}
		if taken := d.total - before; step.want && taken != step.n || !step.want && taken != 0 {
			t.Errorf("%+v: %d taken", step, taken)
		}
	}
	d.ReleaseAll("ada", 5)
	d.ReleaseAll("bob", 3)
	d.Release("eve")
	if d.total != 0 || len(d.byUID) != 0 {
		t.Errorf("after all: %d, %v", d.total, d.byUID)
	}
}
