package report

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestOnlyThoseWithFilesAreLookedAt: from the first file on until none is open any more.
func TestOnlyThoseWithFilesAreLookedAt(t *testing.T) {
	var o Open
	const others = 100
	files, looked := [2]int{}, [2]int{}
	var openers [2]*Opener
	for i := range openers {
		openers[i] = o.Of(func(time.Time) bool { looked[i]++; return files[i] > 0 })
	}
	for range others {
		o.Of(func(time.Time) bool { t.Error("one without a file is looked at"); return false })
	}
	pass := func(want int) {
		t.Helper()
		if got := o.Pass(time.Now()); got != want {
			t.Errorf("%d are looked at, want %d", got, want)
		}
	}
	pass(0)
	for i := range openers {
		files[i] = 1
		openers[i].Opened()
		if !openers[i].in.Load() {
			t.Error("each file that is opened takes a lock")
		}
		openers[i].Opened()
	}
	pass(2)
	files[0] = 0
	pass(2)
	pass(1)
	files[0] = 1
	openers[0].Opened()
	pass(2)
	if looked != [2]int{4, 4} { // the second look of the first is when it is taken out
		t.Errorf("looked %v times", looked)
	}
}

// TestOpenedMeanwhile: a file that is opened while its connection is taken out is not forgotten.
func TestOpenedMeanwhile(t *testing.T) {
	var o Open
	var w *Opener
	looks, open := 0, false
	w = o.Of(func(time.Time) bool {
		was := open
		if looks++; looks == 1 {
			open = true // after this look, and before it is taken out
			w.Opened()
		}
		return was
	})
	w.Opened()
	o.Pass(time.Now())
	if looked := o.Pass(time.Now()); looked != 1 {
		t.Error("forgotten")
	}
}

// TestOpenersAtOnce: a connection with a file open at the end is looked at, however often it opened and closed files before.
func TestOpenersAtOnce(t *testing.T) {
	var o Open
	var all sync.WaitGroup
	var done atomic.Bool
	passing := make(chan struct{})
	go func() {
		defer close(passing)
		for !done.Load() {
			o.Pass(time.Now())
		}
	}()
	const n = 8
	for range n {
		var files atomic.Int32
		w := o.Of(func(time.Time) bool { return files.Load() > 0 })
		all.Go(func() {
			for range 2000 {
				files.Add(1)
				w.Opened()
				files.Add(-1)
			}
			files.Add(1)
			w.Opened()
		})
	}
	all.Wait()
	done.Store(true)
	<-passing
	if got := o.Pass(time.Now()); got != n {
		t.Errorf("%d are looked at, want %d", got, n)
	}
}
