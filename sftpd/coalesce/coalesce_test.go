package coalesce

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (here, there net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var d net.Dialer
	if there, err = d.DialContext(context.Background(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if here, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); there.Close() })
	return here, there
}

// counted counts writes.
type counted struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
	err    error
}

func (c *counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.writes = append(c.writes, bytes.Clone(p))
	return len(p), nil
}

func (c *counted) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.writes)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after 20 s: %s", what)
		}
	}
}

// TestReadsAhead: one system call serves many reads, and a buffer is held only while it contains data.
func TestReadsAhead(t *testing.T) {
	here, there := pair(t)
	c := New(here)
	calls := 0
	c.fill = func(fd uintptr) bool {
		done := c.receive(fd)
		if done {
			calls++
		}
		return done
	}
	sent := make([]byte, 40_000)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	if _, err := there.Write(sent); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // until all of it arrives; otherwise more calls are counted
	got := make([]byte, len(sent))
	for i := range got {
		if n, err := c.Read(got[i : i+1]); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if !bytes.Equal(got, sent) {
		t.Error("what was read is not what was sent")
	}
	if calls > 10 {
		t.Errorf("%d reads of the descriptor", calls)
	}
	if c.ahead != nil {
		t.Error("a buffer is held though all has been read")
	}
	done := make(chan error)
	go func() {
		_, err := c.Read(got)
		done <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if c.ahead != nil {
		t.Error("a buffer is held while waiting")
	}
	there.Close()
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Errorf("want the end, have %v", err)
	}
	if _, err := c.Read(got); !errors.Is(err, io.EOF) {
		t.Errorf("want the end again, have %v", err)
	}
}

func TestReadErrors(t *testing.T) {
	here, there := pair(t)
	c := New(here)
	p := make([]byte, 10)
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := c.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("want the deadline, have %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(p); n != 1 || err != nil {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	done := make(chan error)
	go func() {
		_, err := c.Read(p)
		done <- err
	}()
	time.Sleep(10 * time.Millisecond)
	c.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("want closed, have %v", err)
	}
}

// TestReset: a connection that was reset returns an error, not the end of the stream.
func TestReset(t *testing.T) {
	here, there := pair(t)
	c := New(here)
	if err := there.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	there.Close()
	if n, err := c.Read(make([]byte, 10)); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%d, %v", n, err)
	}
}

// TestHold: data written between Hold and Release is sent at once, in order.
func TestHold(t *testing.T) {
	w := &counted{}
	c := New(w)
	write := func(n int) {
		t.Helper()
		if got, err := c.Write(bytes.Repeat([]byte{byte(n)}, n)); got != n || err != nil {
			t.Fatal(got, err)
		}
	}
	write(1)
	if w.count() != 1 {
		t.Fatal("a write without Hold waits")
	}
	// A late timer must not count.
	for range 100 {
		w.writes = nil
		c.Hold()
		c.Hold()
		write(10)
		if c.Release() != nil {
			t.Fatal("Release failed")
		}
		write(20)
		write(30)
		before := w.count()
		if c.Release() != nil {
			t.Fatal("Release failed")
		}
		if before == 0 && w.count() == 1 {
			break
		}
	}
	want := append(append(bytes.Repeat([]byte{10}, 10), bytes.Repeat([]byte{20}, 20)...), bytes.Repeat([]byte{30}, 30)...)
	if w.count() != 1 || !bytes.Equal(w.writes[0], want) {
		t.Errorf("have %x, want %x", w.writes, want)
	}
	if c.held != nil {
		t.Error("a buffer is held though all has been written")
	}
	c.Hold()
	if err := c.Release(); err != nil || w.count() != 1 {
		t.Errorf("nothing was held back: %v, %d", err, w.count())
	}
}

// TestMuchIsWritten: the amount held back is bounded.
func TestMuchIsWritten(t *testing.T) {
	w := &counted{}
	c := New(w)
	c.Hold()
	sent := 0
	for range 100 {
		for _, n := range []int{100, 32 << 10, 300 << 10, 5} {
			if _, err := c.Write(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			sent += n
			c.mu.Lock()
			if c.out >= writeBytes {
				t.Fatalf("%d bytes are held back", c.out)
			}
			c.mu.Unlock()
		}
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, p := range w.writes {
		got += len(p)
	}
	if got != sent {
		t.Errorf("%d bytes of %d", got, sent)
	}
}

// TestHolderThatWaits: when a holder waits, its data is sent anyway, and other writers are not delayed.
func TestHolderThatWaits(t *testing.T) {
	w := &counted{}
	c := New(w)
	c.Hold()
	if _, err := c.Write([]byte("its own")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its own is written", func() bool { return w.count() == 1 })
	if _, err := c.Write([]byte("another's")); err != nil || w.count() != 2 {
		t.Errorf("another's write: %v, %d", err, w.count())
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	c.Hold()
	if _, err := c.Write([]byte("x")); err != nil || c.overdue {
		t.Errorf("still overdue: %v", err)
	}
	if err := c.Release(); err != nil || w.count() != 3 {
		t.Errorf("%v, %d", err, w.count())
	}
}

// TestErrorIsKept: the next write returns the error of a write that failed later.
func TestErrorIsKept(t *testing.T) {
	broken := errors.New("broken")
	w := &counted{err: broken}
	c := New(w)
	c.Hold()
	if n, err := c.Write([]byte("x")); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if err := c.Release(); !errors.Is(err, broken) {
		t.Errorf("Release: %v", err)
	}
	w.err = nil
	if _, err := c.Write([]byte("y")); !errors.Is(err, broken) || w.count() != 0 {
		t.Errorf("Write: %v", err)
	}
	c.Hold()
	if err := c.Release(); !errors.Is(err, broken) {
		t.Errorf("Release again: %v", err)
	}
}

// TestStream: data sent in pieces of any size, in both directions and by several goroutines, arrives complete.
func TestStream(t *testing.T) {
	here, there := pair(t)
	c, peer := New(here), New(there)
	const writers, each, size = 4, 300, 7001
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range each {
				held := r.IntN(2) == 0
				if held {
					c.Hold()
				}
				if n, err := c.Write(bytes.Repeat([]byte{byte('a' + i)}, size)); n != size || err != nil {
					t.Error(n, err)
				}
				if held && c.Release() != nil {
					t.Error("Release failed")
				}
			}
		})
	}
	go func() { wg.Wait(); c.Close() }()
	r := rand.New(rand.NewPCG(9, 9))
	var got []byte
	for {
		p := make([]byte, 1+r.IntN(50_000))
		n, err := peer.Read(p)
		got = append(got, p[:n]...)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
	}
	if len(got) != writers*each*size {
		t.Fatalf("%d bytes of %d", len(got), writers*each*size)
	}
	for i := 0; i < len(got); i += size {
		if bytes.Count(got[i:i+size], got[i:i+1]) != size {
			t.Fatalf("writes are mixed at %d", i)
		}
	}
}
