package logqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/logqueue"
)

// gate blocks writes until it is opened.
type gate struct {
	open chan struct{}

	mu sync.Mutex
	b  bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}

// TestNobodyWaits: while the writer blocks, lines are kept up to a limit and then dropped; those kept arrive in order, with the
// number of dropped ones.
func TestNobodyWaits(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	q := logqueue.New(g)
	const lines, size = 5000, 1000
	begin := time.Now()
	for i := range lines {
		fmt.Fprintf(q, "%06d%s\n", i, strings.Repeat("x", size-7))
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("writing took %s", took)
	}
	dropped := q.Dropped()
	if kept := lines - int(dropped); kept < 1000 || kept > 1100 {
		t.Errorf("%d lines of %d bytes are kept", kept, size)
	}
	q.Close(50 * time.Millisecond) // returns even though nothing is written
	close(g.open)
	q.Close(10 * time.Second)
	g.mu.Lock()
	defer g.mu.Unlock()
	next, notes := 0, []string(nil)
	for line := range strings.Lines(g.b.String()) {
		if strings.HasPrefix(line, "{") {
			notes = append(notes, line)
			continue
		}
		if want := fmt.Sprintf("%06d", next); !strings.HasPrefix(line, want) {
			t.Fatalf("line %.6s, want %s", line, want)
		}
		next++
	}
	if next != lines-int(dropped) {
		t.Errorf("%d lines arrived, %d were dropped of %d", next, dropped, lines)
	}
	if want := fmt.Sprintf(`"lines":%d}`, dropped); len(notes) != 1 || !strings.Contains(notes[0], want) {
		t.Errorf("notes %q, want one with %s", notes, want)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestRefusedLinesCount: a line that the writer refuses counts as dropped.
func TestRefusedLinesCount(t *testing.T) {
	q := logqueue.New(broken{})
	fmt.Fprintln(q, "one")
	fmt.Fprintln(q, "two")
	q.Close(10 * time.Second)
	fmt.Fprintln(q, "after the end")
	if n := q.Dropped(); n != 3 {
		t.Errorf("%d lines were dropped, want 3", n)
	}
}
