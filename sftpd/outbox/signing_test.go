package outbox

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// TestAllReceiptsAreSigned: each upload of a batch gets its receipt, on however many processors they are signed; and what was reserved for an
// upload before covers its record.
func TestAllReceiptsAreSigned(t *testing.T) {
	signer, _ := testSigner(t)
	for _, processors := range []int{1, 4} {
		was := runtime.GOMAXPROCS(processors)
		l := newLog(logSettings{live: live{sinks: sinks("a")}}, nil, nil)
		l.signer = signer
		var batch []*op
		var reserved []int64
		for i := range 9 {
			path := fmt.Sprint("/", i, strings.Repeat("ä", 100*i))
			e, err := events.Decode(encoded(t, path))
			if err != nil {
				t.Fatal(err)
			}
			size := int64(7)
			e.ID = fmt.Sprint("id-", i)
			e.Data.Listener, e.Data.User, e.Data.Size, e.Data.SHA256 = "files/public", "team/ada", &size, strings.Repeat("0a", 32)
			raw, err := events.Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			o := l.withReceipt(record{Kind: recorded, User: "team/ada", Type: events.FilePublished, At: time.Now().Unix(), Event: raw})
			if o.receipt == nil {
				t.Fatal("no receipt is promised")
			}
			batch, reserved = append(batch, o), append(reserved, estimate(o.rec.Event)+estimateReceipt(o.receipt))
		}
		if _, err := l.issue(batch); err != nil {
			t.Fatal(err)
		}
		runtime.GOMAXPROCS(was)
		for i, o := range batch {
			e, err := receipt.DecodeEnvelope(o.rec.Receipt)
			if err != nil {
				t.Errorf("%d processors, upload %d: %v", processors, i, err)
				continue
			}
			if r, err := receipt.Decode(e.Payload); err != nil || r.Sequence != uint64(i+1) {
				t.Errorf("%d processors, upload %d: %+v, %v", processors, i, r, err)
			}
			line, err := o.rec.encode(nil)
			if err != nil || int64(len(line)) > reserved[i] {
				t.Errorf("upload %d takes %d bytes, and %d were reserved, %v", i, len(line), reserved[i], err)
			}
		}
	}
}

// TestAllDeadLetters: an operator who drops or replays all dead letters of a sink means all of them.
func TestAllDeadLetters(t *testing.T) {
	for replay, want := range map[bool]string{false: "", true: "/0/1/2/3"} {
		r := begin(t, logSettings{base: t.TempDir(), live: live{sinks: sinks("a")}})
		for i := range 4 {
			r.add(t, "team/ada", fmt.Sprint("/", i))
		}
		raw, err := r.lines("a", "", events.MaxLimit, false)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := events.ParseLines(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range slices.Backward(lines) {
			if err := r.bury("a", l.Cursor, "404"); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := r.selectDead(events.Selection{Sink: "a", All: true}, replay); n != 4 || err != nil {
			t.Errorf("replay %v: %d, %v", replay, n, err)
		}
		have, _ := r.read(t, "a", "", false)
		parts := strings.Split(have, "/")
		slices.Sort(parts)
		if got := strings.Join(parts, "/"); got != want {
			t.Errorf("replay %v: pending are %q", replay, have)
		}
		if dead, _ := r.read(t, "a", "", true); dead != "" {
			t.Errorf("replay %v: dead letters %q", replay, dead)
		}
	}
}
