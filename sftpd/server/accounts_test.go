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
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
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

// TestWhoIsExempt: penalties and limits of a source do not count for proxies, through which all
// others come, nor for networks that are exempt, nor for what has no address.
func TestWhoIsExempt(t *testing.T) {
	set := func(list ...string) networks.Set {
		s, err := networks.Parse(list)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	proxies := set("198.51.100.0/24", "2001:db8:f::/48")
	for name, tc := range map[string]struct {
		client  string
		proxies *networks.Set
		exempt  bool
	}{
		"a client":                      {"192.0.2.1", nil, false},
		"a client behind proxies":       {"192.0.2.1", &proxies, false},
		"who claims to be a proxy":      {"198.51.100.7", &proxies, true},
		"an IPv6 proxy":                 {"2001:db8:f::1", &proxies, true},
		"a proxy's address without any": {"198.51.100.7", nil, false},
		"an exempt network":             {"203.0.113.9", nil, true},
		"an exempt one behind proxies":  {"203.0.113.9", &proxies, true},
		"no address":                    {"", nil, true},
	} {
		s := &snapshot.Snapshot{Proxies: tc.proxies, Exempt: set("203.0.113.0/24")}
		s.Listener.Sources = config.Sources{Penalties: true}
		var client netip.Addr
		if tc.client != "" {
			client = netip.MustParseAddr(tc.client)
		}
		o := originOf(client, s)
		if o.exempt != tc.exempt || o.penalised() == tc.exempt || o.limited().IsValid() == tc.exempt {
			t.Errorf("%s: %+v", name, o)
		}
		s.Listener.Sources.Penalties = false
		if originOf(client, s).penalised() {
			t.Errorf("%s is penalized although penalties are off", name)
		}
	}
}
