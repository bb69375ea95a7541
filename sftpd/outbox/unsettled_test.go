package outbox

import (
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// TestDeadLetterOfOneSink: an event that one sink gives up, whichever that is, remains pending only for the others.
func TestDeadLetterOfOneSink(t *testing.T) {
	for given, other := range map[string]string{"a": "b", "b": "a"} {
		r := begin(t, logSettings{base: t.TempDir(), live: live{sinks: sinks("a", "b")}})
		r.add(t, "team/ada", "/0")
		r.add(t, "team/ada", "/1")
		_, cursor := r.read(t, given, "", false)
		if err := r.bury(given, cursor, "404"); err != nil {
			t.Fatal(err)
		}
		r.expect(t, given, "/0")
		r.expect(t, other, "/0/1")
		if have, _ := r.read(t, given, "", true); have != "/1" {
			t.Errorf("dead letters of %s: %q", given, have)
		}
		if have, _ := r.read(t, other, "", true); have != "" {
			t.Errorf("dead letters of %s: %q", other, have)
		}
	}
}

// TestRefusedUploadIsAbandoned: an upload that was refused because the volume did not answer in time occupies nothing once it does.
func TestRefusedUploadIsAbandoned(t *testing.T) {
	oldSync, hang := fdatasync, make(chan struct{})
	r := begin(t, logSettings{base: t.TempDir(), live: live{sinks: sinks("a")}})
	r.add(t, "team/ada", "/0")
	r.stop()
	fdatasync = func(f *os.File) error { <-hang; return oldSync(f) }
	r = begin(t, logSettings{base: r.base, live: live{sinks: sinks("a")}})
	release := sync.OnceFunc(func() { close(hang) })
	t.Cleanup(func() { release(); r.stop(); fdatasync = oldSync })
	eventually(t, "open", func() bool { return len(r.status().Problems) == 0 })
	before := r.status().Bytes
	raw := encoded(t, "/1")
	user, err := r.reserve("team/ada", estimate(raw), false)
	if err != nil {
		t.Fatal(err)
	}
	o := &op{sync: true, user: user, cost: estimate(raw), rec: record{Kind: prepared, User: "team/ada", Type: events.FilePublished, Event: raw, Dir: []byte("/"), Name: []byte("1")}}
	r.put(o)
	r.mu.Lock()
	o.beat -= waitBeats // it has waited long enough
	lost := r.lost
	r.mu.Unlock()
	if !r.giveUp(o) {
		t.Fatal("the upload waits")
	}
	if n := r.status().Lost; n != lost+1 {
		t.Errorf("%d are lost, want %d", n, lost+1)
	}
	release()
	eventually(t, "it is abandoned", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.prepared) == 0 && r.x.total == before
	})
	r.expect(t, "a", "/0")
}

// TestUnsettledKeepTheirSegment: until the outcome of each upload that a kill has interrupted is known, what was recorded of it stays.
func TestUnsettledKeepTheirSegment(t *testing.T) {
	l := newLog(logSettings{pod: "pod-0", live: live{sinks: sinks("a"), maxBytes: 1 << 20}}, slog.New(slog.DiscardHandler), nil)
	seg := &segment{number: 1}
	have := &loaded{acked: map[string]uint64{}, segments: []*segment{seg, {number: 2}}, unsettled: []unsettled{{record{N: 1}, seg}, {record{N: 2}, seg}}}
	if err := l.take(have); err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{1, 2} {
		l.removeSegments()
		if len(l.segs) != 2 {
			t.Fatalf("the segment is gone before upload %d is settled", n)
		}
		l.mu.Lock()
		l.apply(placed{op: &op{rec: record{Kind: abandoned, Of: n}}}, l.segs[1])
		l.mu.Unlock()
	}
	if seg.open != 0 {
		t.Errorf("%d are open", seg.open)
	}
}
