package flow

import (
	"io"
	"math/rand/v2"
	"net"
	"testing"
)

// never is for streams that are not paused.
func never() bool { return false }

// TestUnreadOfAllIsSettled: whatever connections send, read and leave unread, the total equals the sum over all connections,
// and it is zero once they are gone. A remainder would be missing for honest clients.
func TestUnreadOfAllIsSettled(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	totals := NewTotals()
	for round := range 20 {
		var meters []*Conn
		var streams []*Stream
		for range 1 + random.IntN(5) {
			here, there := net.Pipe()
			t.Cleanup(func() { here.Close(); there.Close() })
			m := totals.Conn(here, Hooks{Touch: func() {}, Overrun: func() {}})
			meters = append(meters, m)
			for range 1 + random.IntN(3) {
				streams = append(streams, m.Open(t.Context(), nil, never))
			}
		}
		sum := func() (n int64) {
			for _, m := range meters {
				n += m.unread
			}
			return n
		}
		most := int64(0)
		for range 200 {
			m := meters[random.IntN(len(meters))]
			switch random.IntN(4) {
			case 0:
				s := streams[random.IntN(len(streams))]
				s.Channel = onceRead{random.IntN(32 << 10)}
				if _, err := s.Read(make([]byte, 32<<10)); err != nil {
					t.Fatal(err)
				}
			default:
				m.receive(random.IntN(200 << 10))
			}
			if most = max(most, totals.unread.Load()); totals.unread.Load() != sum() {
				t.Fatalf("round %d: the account of all has %d, the connections %d", round, totals.unread.Load(), sum())
			}
		}
		if most == 0 {
			t.Errorf("round %d: nothing was unread", round)
		}
		for _, s := range streams {
			s.Settle()
		}
		for _, m := range meters {
			m.Settle()
			m.receive(1 << 20) // what still comes in until the connection is closed
		}
		if n := totals.unread.Load(); n != 0 {
			t.Fatalf("round %d: %d bytes of connections that are gone", round, n)
		}
	}
}

// onceRead is a channel from which a fixed number of bytes can be read.
type onceRead struct{ n int }

func (c onceRead) Read([]byte) (int, error)                       { return c.n, nil }
func (c onceRead) Write(p []byte) (int, error)                    { return len(p), nil }
func (c onceRead) Close() error                                   { return nil }
func (c onceRead) CloseWrite() error                              { return nil }
func (c onceRead) Stderr() io.ReadWriter                          { return nil }
func (c onceRead) SendRequest(string, bool, []byte) (bool, error) { return false, nil }
