package server

import (
	"bytes"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/coalesce"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// TestUnreadOfAllIsSettled: whatever connections send, read and leave unread, the account of all
// is the sum of theirs, and nothing is left in it when they are gone. What is left would be
// missing for honest clients.
func TestUnreadOfAllIsSettled(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var ofAll atomic.Int64
	var total atomic.Uint64
	for round := range 20 {
		var meters []*meter
		var streams []*stream
		for range 1 + random.IntN(5) {
			here, there := net.Pipe()
			t.Cleanup(func() { here.Close(); there.Close() })
			m := &meter{Conn: coalesce.New(here), ofAll: &ofAll, limitOfAll: unreadOfAll, total: &total, overrun: func() {}, touch: func() {}}
			meters = append(meters, m)
			for range 1 + random.IntN(3) {
				streams = append(streams, m.open(t.Context(), nil, nil))
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
			if most = max(most, ofAll.Load()); ofAll.Load() != sum() {
				t.Fatalf("round %d: the account of all has %d, the connections %d", round, ofAll.Load(), sum())
			}
		}
		if most == 0 {
			t.Errorf("round %d: nothing was unread", round)
		}
		for _, s := range streams {
			s.release()
		}
		for _, m := range meters {
			m.done()
			m.receive(1 << 20) // what still comes in until the connection is closed
		}
		if n := ofAll.Load(); n != 0 {
			t.Fatalf("round %d: %d bytes of connections that are gone", round, n)
		}
	}
}

// onceRead is a channel of which so many bytes can be read.
type onceRead struct{ n int }

func (c onceRead) Read([]byte) (int, error)                       { return c.n, nil }
func (c onceRead) Write(p []byte) (int, error)                    { return len(p), nil }
func (c onceRead) Close() error                                   { return nil }
func (c onceRead) CloseWrite() error                              { return nil }
func (c onceRead) Stderr() io.ReadWriter                          { return nil }
func (c onceRead) SendRequest(string, bool, []byte) (bool, error) { return false, nil }

// TestShutdownWritesWhatIsTallied: refusals that were counted and not yet written get their line
// when the daemon ends.
func TestShutdownWritesWhatIsTallied(t *testing.T) {
	none := func() *snapshot.Snapshot { return nil }
	var out bytes.Buffer
	s := New(Options{
		Current: none, Auth: auth.New(none), Metrics: metrics.New("test"), Log: slog.New(slog.DiscardHandler), Audit: audit.New(&out, func() (string, string) { return "platform", "partners" }),
	})
	r := audit.Refusal{Event: audit.LoginRefused, Reason: string(event.SourcePenalized), Source: netip.MustParsePrefix("192.0.2.0/24")}
	for range 4 {
		s.refusals.tally.Count(r)
	}
	s.refusals.tally.Count(audit.Refusal{Event: audit.LoginRefused, Reason: "once"})
	s.Close()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 1 || !strings.Contains(lines[0], `"count":3`) || !strings.Contains(lines[0], "192.0.2.0/24") || !strings.Contains(lines[0], string(event.SourcePenalized)) {
		t.Errorf("audit log\n%s", out.String())
	}
}
