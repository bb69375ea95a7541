package flow

import (
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// model is what x/crypto buffers: the packets of each channel, in order.
type model struct {
	ledger   ledger
	channels []*modelChannel
}

type modelChannel struct {
	account *account
	packets []modelPacket
	payload int
}

type modelPacket struct{ payload, wire int }

func newModel(channels int) *model {
	m := &model{}
	for range channels {
		m.channels = append(m.channels, &modelChannel{account: m.ledger.open()})
	}
	return m
}

// send delivers a packet from the client, unless its window is closed.
func (m *model) send(c *modelChannel, payload int) bool {
	if c.payload+payload > channelWindow {
		return false
	}
	p := modelPacket{payload: payload, wire: payload + 35}
	c.packets = append(c.packets, p)
	c.payload += payload
	m.ledger.received += int64(p.wire)
	return true
}

// read is a Read with a buffer of size bytes.
func (m *model) read(c *modelChannel, size int) {
	got := 0
	for got < size && len(c.packets) > 0 {
		p := &c.packets[0]
		n := min(p.payload, size-got)
		p.payload -= n
		p.wire -= n
		got += n
		if p.payload == 0 {
			c.packets = c.packets[1:]
		}
	}
	c.payload -= got
	m.ledger.consume(c.account, got, got < size)
}

// held returns how many bytes on the wire are buffered by the channel that buffers the most.
func (m *model) held() (most int64) {
	for _, c := range m.channels {
		sum := 0
		for _, p := range c.packets {
			sum += p.wire
		}
		most = max(most, int64(sum))
	}
	return most
}

// TestLedgerIsABound: whatever is sent and read in whatever order, no channel buffers more than the ledger says plus one window
// per channel.
func TestLedgerIsABound(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := newModel(1 + r.IntN(4))
		sizes := []int{1, 1 + r.IntN(100), 1 + r.IntN(32<<10), 32 << 10}
		for step := range 300 {
			c := m.channels[r.IntN(len(m.channels))]
			if r.IntN(3) > 0 {
				size := sizes[r.IntN(len(sizes))]
				for range 1 + r.IntN(200) {
					m.send(c, size)
				}
			} else {
				m.read(c, 1+r.IntN(512<<10))
			}
			windows := int64(len(m.channels)) * channelWindow
			if held, bound := m.held(), m.ledger.unread()+windows; held > bound {
				t.Fatalf("seed %d, step %d: %d bytes held, ledger says %d", seed, step, held, bound)
			}
		}
	}
}

// TestLedgerOfHonestClients: a client that sends files may continue forever, even if it keeps the window full with small
// packets.
func TestLedgerOfHonestClients(t *testing.T) {
	for _, channels := range []int{1, 2, 10} {
		for _, size := range []int{512, 4 << 10, 16 << 10, 32 << 10} {
			m := newModel(channels)
			total := 64 << 20 * channels
			for sent := 0; sent < total; {
				for _, c := range m.channels {
					for m.send(c, size) {
						sent += size
					}
				}
				for _, c := range m.channels { // never drained
					m.read(c, 320<<10)
				}
				if m.ledger.overrun(m.ledger.unread(), unreadOfAll-m.ledger.unread()) {
					t.Fatalf("%d channels, packets of %d bytes: overrun after %d bytes", channels, size, sent)
				}
			}
		}
	}
}

// TestLedgerOfABusyChannel: one channel copies for a long time while the other transfers gigabytes.
func TestLedgerOfABusyChannel(t *testing.T) {
	m := newModel(2)
	for range 64 { // and left its window full
		m.send(m.channels[1], 32<<10)
	}
	for sent := 0; sent < 4<<30; sent += 32 << 10 {
		m.send(m.channels[0], 32<<10)
		m.read(m.channels[0], 320<<10)
		if m.ledger.overrun(m.ledger.unread(), unreadOfAll-m.ledger.unread()) {
			t.Fatalf("overrun after %d bytes", sent)
		}
	}
}

// TestLedgerOfTinyPackets: single-byte packets never fill a window.
func TestLedgerOfTinyPackets(t *testing.T) {
	m := newModel(1)
	for m.send(m.channels[0], 1) {
		if m.ledger.overrun(m.ledger.unread(), unreadOfAll-m.ledger.unread()) {
			if held := m.held(); held > unreadBase+unreadPerChannel+36 {
				t.Errorf("%d bytes held", held)
			}
			return
		}
	}
	t.Error("no overrun")
}

// TestOverrun: a single connection may send far ahead. When all connections together hold a lot, each may send what is left,
// but always as much as one channel needs.
func TestOverrun(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		channels      int
		unread, ofAll int64
		want          bool
	}{
		{1, 12 * mib, 12 * mib, false},
		{1, 12*mib + 1, 12 * mib, true},
		{10, 48 * mib, 48 * mib, false},
		{10, 48*mib + 1, 48 * mib, true},
		{1, 10 * mib, 118 * mib, false},
		{1, 10 * mib, 119 * mib, true},
		{1, 4 * mib, 1000 * mib, false},
		{1, 4*mib + 1, 1000 * mib, true},
		{10, 4 * mib, 1000 * mib, false},
		{10, 4*mib + 1, 1000 * mib, true},
		{0, 0, 1000 * mib, false},
	} {
		l := ledger{accounts: map[*account]struct{}{}}
		for range tc.channels {
			l.open()
		}
		if got := l.overrun(tc.unread, unreadOfAll-tc.ofAll); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}

// TestMayOpen: users that want as much as possible get equal shares, and something is left over.
func TestMayOpen(t *testing.T) {
	for _, users := range []int{1, 2, 9, 99} {
		const limit = 1000
		d := NewDescriptors(3*limit+7, 7)
		uids := make([]string, users)
		for i := range uids {
			uids[i] = string(rune('a' + i))
		}
		for again := true; again; {
			again = false
			for _, uid := range uids {
				again = d.Acquire(uid) || again
			}
		}
		for _, uid := range uids {
			if n := d.byUID[uid]; n < limit/(users+1)-1 || n > limit/(users+1)+1 {
				t.Errorf("%d users: one has %d of %d", users, n, limit)
			}
		}
		if !d.Acquire("late") {
			t.Errorf("%d users: nothing is left", users)
		}
		d.Release("late")
		for uid, n := range d.byUID {
			for range n {
				d.Release(uid)
			}
		}
		if d.total != 0 || len(d.byUID) != 0 {
			t.Errorf("after all: %d, %v", d.total, d.byUID)
		}
	}
}

// TestBlockedConnection: a write that TCP does not accept is detected.
func TestBlockedConnection(t *testing.T) {
	here, there := net.Pipe()
	c := NewTotals().Conn(here, Hooks{Touch: func() {}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.Write([]byte("x"))
	}()
	for !c.Stalled(time.Millisecond) {
		time.Sleep(time.Millisecond)
	}
	if c.Stalled(time.Hour) {
		t.Error("stalled for an hour")
	}
	there.Close()
	<-done
	if c.Stalled(0) {
		t.Error("stalled after its end")
	}
}

func TestWaiting(t *testing.T) {
	var w waiting
	if w.atLeast(0) {
		t.Error("waits before it begins")
	}
	w.begin()
	if !w.atLeast(0) || w.atLeast(time.Hour) {
		t.Error("after begin")
	}
	w.end()
	if w.atLeast(0) {
		t.Error("waits after its end")
	}
}
