package report

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

var ada = &event.Connection{ID: "1", User: "ada"}

// reported is what a Reporter reported.
type told struct {
	mu      sync.Mutex
	events  []event.Event
	charged []int
}

func (o *told) reporter() *Reporter {
	return New(ada, func(e event.Event) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.events = append(o.events, e)
	}, func(bytes int) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.charged = append(o.charged, bytes)
	})
}

// TestEvents: file events are reported with all their fields.
func TestEvents(t *testing.T) {
	for name, tc := range map[string]struct {
		happens sftp.Event
		want    event.Event
	}{
		"upload": {
			sftp.Transfer{
				Path: "/a", Direction: sftp.Upload, BytesWritten: 3, Duration: time.Second, Result: sftp.Completed, Created: true, Truncated: true,
			},
			event.Transfer{
				Connection: ada, File: event.File{Path: "/a", Direction: "upload", BytesWritten: 3, Duration: time.Second},
				Result: event.OK, Created: true, Truncated: true,
			},
		},
		"failed download": {
			sftp.Transfer{Path: "/a", Direction: sftp.Download, BytesRead: 3, Result: sftp.Failed, Err: errors.New("disk")},
			event.Transfer{
				Connection: ada, File: event.File{Path: "/a", Direction: "download", BytesRead: 3}, Result: event.Failed, Error: "disk",
			},
		},
		"cut off": {
			sftp.Transfer{Path: "/a", Direction: sftp.Upload, Result: sftp.Aborted, Left: vfs.Leftover("kept")},
			event.Transfer{Connection: ada, File: event.File{Path: "/a", Direction: "upload"}, Result: event.Aborted, Left: "kept"},
		},
		"rename": {
			sftp.Operation{Op: "rename", Path: "/a", Target: "/b"},
			event.Operation{Connection: ada, Operation: "rename", Path: "/a", Target: "/b", Result: event.OK},
		},
		"refused": {
			sftp.Operation{Op: "remove", Path: "/a", Status: sftp.StatusPermissionDenied},
			event.Operation{
				Connection: ada, Operation: "remove", Path: "/a", Result: event.WasRefused, Status: sftp.StatusPermissionDenied.String(),
			},
		},
		"failed": {
			sftp.Operation{Op: "mkdir", Path: "/a", Status: sftp.StatusFailure},
			event.Operation{Connection: ada, Operation: "mkdir", Path: "/a", Result: event.Failed, Status: sftp.StatusFailure.String()},
		},
		"hashed": {
			sftp.Operation{Op: "check-file", Path: "/a", BytesRead: 7},
			event.Operation{Connection: ada, Operation: "check-file", Path: "/a", BytesRead: 7, Result: event.OK},
		},
		"attributes": {
			sftp.Operation{Op: "setstat", Path: "/a", Changes: vfs.Changes{
				Set:  vfs.SetSize | vfs.SetOwner | vfs.SetMode | vfs.SetTimes,
				Size: 1 << 60, UID: 1, GID: 1<<32 - 1, Mode: 0o104755, Atime: 0, Mtime: 1_800_000_000,
			}},
			event.Operation{Connection: ada, Operation: "setstat", Path: "/a", Result: event.OK, Set: event.Attributes{
				Size: "1152921504606846976", Owner: "1:4294967295", Mode: "4755",
				Atime: "1970-01-01T00:00:00Z", Mtime: "2027-01-15T08:00:00Z",
			}},
		},
	} {
		var o told
		o.reporter().Observe(tc.happens)
		if len(o.events) != 1 || !reflect.DeepEqual(o.events[0], tc.want) {
			t.Errorf("%s: %+v, want %+v", name, o.events, tc.want)
		}
		if len(o.charged) != 1 {
			t.Errorf("%s: charged with %v", name, o.charged)
		}
	}
}

// TestChargeGrowsWithPaths: the charge includes both paths.
func TestChargeGrowsWithPaths(t *testing.T) {
	var o told
	r := o.reporter()
	long := strings.Repeat("x", 1000)
	for _, e := range []sftp.Event{
		sftp.Operation{Op: "rename", Path: "/" + long},
		sftp.Operation{Op: "rename", Path: "/" + long, Target: "/" + long},
		sftp.Transfer{Path: "/" + long},
	} {
		r.Observe(e)
	}
	if want := []int{lineBase + 1001, lineBase + 2002, lineBase + 1001}; !reflect.DeepEqual(o.charged, want) {
		t.Errorf("%v, want %v", o.charged, want)
	}
}

// TestFailuresAreTallied: a burst is logged line by line, the rest is counted: in the metrics at once, and in one line per kind
// after a while or at the end; nothing is lost, and the user is charged for logged lines only.
func TestFailuresAreTallied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o told
		r := o.reporter()
		missing := sftp.Operation{Op: "remove", Path: "/a", Status: sftp.StatusNoSuchFile}
		denied := sftp.Operation{Op: "mkdir", Path: "/a", Status: sftp.StatusPermissionDenied}
		fail := func(o sftp.Operation, times int) {
			for range times {
				r.Observe(o)
			}
		}
		fail(missing, failuresBurst+5)
		fail(denied, 3)
		r.Observe(sftp.Operation{Op: "mkdir", Path: "/b"}) // successes are logged individually
		r.Observe(sftp.Operation{Op: "check-file", Path: "/b", Status: sftp.StatusFailure, BytesRead: 1})
		lines, charged, tallied := o.count()
		if lines != failuresBurst+2 || len(tallied) != 0 || charged != lines {
			t.Errorf("%d lines, %v, charged for %d", lines, tallied, charged)
		}
		time.Sleep(failuresInterval)
		synctest.Wait()
		if _, _, tallied := o.count(); tallied["remove"] != 5 || tallied["mkdir"] != 3 || len(tallied) != 2 {
			t.Errorf("%v", tallied)
		}
		fail(missing, failuresBurst+1) // there is time for another burst now
		r.End()
		lines, charged, tallied = o.count()
		if lines != 2*failuresBurst+2 || tallied["remove"] != 6 || charged != lines+3 {
			t.Errorf("%d lines, %v, charged for %d", lines, tallied, charged)
		}
		fail(missing, 2*failuresBurst) // of a session that is about to end
		if after, _, _ := o.count(); after != lines+2*failuresBurst {
			t.Errorf("%d lines after the end", after-lines)
		}
	})
}

// count counts the logged operations, the charges, and the tallied failures by operation.
func (o *told) count() (lines, charged int, tallied map[string]int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	tallied = map[string]int{}
	for _, e := range o.events {
		switch e := e.(type) {
		case event.Operation:
			if !e.Tallied {
				lines++
			}
		case event.OperationsFailed:
			tallied[e.Operation] += e.Count
		}
	}
	return lines, len(o.charged), tallied
}
