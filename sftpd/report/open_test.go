package report

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// files stands for the sessions of a connection: it has the time at which each open file is due.
type files struct {
	due    map[int]time.Time
	looked int
}

// look behaves like StillOpen: a file that is due is logged, and due again after openAgain.
func (f *files) look(now time.Time) (next time.Time) {
	f.looked++
	for i, due := range f.due {
		if !due.After(now) {
			due = now.Add(openAgain)
			f.due[i] = due
		}
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next
}

// TestOpenFilesAreNotLookedAt: a connection is checked when a line is due and not in between, however many have files open.
func TestOpenFilesAreNotLookedAt(t *testing.T) {
	const n = 1000
	synctest.Test(t, func(t *testing.T) {
		o := NewOpen()
		var all [n]files
		for i := range all {
			all[i].due = map[int]time.Time{0: time.Now().Add(openFirst)}
			o.Of(all[i].look).Opened()
		}
		var looked []int
		for range 2*openAgain/Interval + 3 {
			time.Sleep(Interval)
			looked = append(looked, o.Pass(time.Now()))
		}
		for i, got := range looked {
			want := 0
			if at := time.Duration(i+1) * Interval; at == openFirst || at == openFirst+openAgain || at == openFirst+2*openAgain {
				want = n
			}
			if got != want {
				t.Errorf("pass %d: %d are looked at, want %d", i, got, want)
			}
		}
	})
}

// TestOnlyThoseWithFilesAreLookedAt: only connections that opened a file are checked, once the first line may be due.
func TestOnlyThoseWithFilesAreLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := NewOpen()
		for range 100 {
			o.Of(func(time.Time) time.Time { t.Error("one without a file is looked at"); return time.Time{} })
		}
		one, two := files{due: map[int]time.Time{}}, files{due: map[int]time.Time{}}
		first, second := o.Of(one.look), o.Of(two.look)
		pass := func(wait time.Duration, want int) {
			t.Helper()
			time.Sleep(wait)
			if got := o.Pass(time.Now()); got != want {
				t.Errorf("%d are looked at, want %d", got, want)
			}
		}
		pass(time.Minute, 0)
		for range 1000 { // small files, each closed at once
			first.Opened()
		}
		two.due[1] = time.Now().Add(openFirst)
		second.Opened()
		pass(openFirst-1, 0)
		pass(1, 2)
		pass(openFirst, 0) // nothing is open in the first connection, and the second has been logged
		two.due[2] = time.Now().Add(openFirst)
		second.Opened() // before the other file is due again
		pass(openFirst-1, 0)
		pass(1, 1)
		one.due[1] = time.Now().Add(openFirst)
		first.Opened() // after it was removed from the queue
		pass(openFirst, 1)
		pass(openAgain-4*openFirst, 0)
		pass(openFirst, 1) // the second's first file
		if one.looked != 2 || two.looked != 3 {
			t.Errorf("looked %d and %d times", one.looked, two.looked)
		}
		second.End()
		second.End()
		second.Opened()
		pass(3*openFirst, 1)
		if two.looked != 3 || len(o.queue) != 1 {
			t.Errorf("looked %d times, after its end as well; %d are kept", two.looked, len(o.queue))
		}
	})
}

// TestOpenAgainstAModel: no file is overdue after a pass, whatever happens to the other files and connections.
func TestOpenAgainstAModel(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			o := NewOpen()
			const n = 12
			var all [n]files
			var openers [n]*Opener
			var ended [n]bool
			for i := range openers {
				all[i].due = map[int]time.Time{}
				openers[i] = o.Of(all[i].look)
			}
			for step := range 300 {
				i := r.IntN(n)
				switch k := r.IntN(8); {
				case k == 0 && r.IntN(4) == 0:
					openers[i].End()
					ended[i], all[i].due = true, nil
				case k < 4 && !ended[i]:
					all[i].due[step] = time.Now().Add(openFirst)
					openers[i].Opened()
				case k < 6:
					for f := range all[i].due {
						delete(all[i].due, f)
						break
					}
				default:
					time.Sleep(time.Duration(r.IntN(int(2 * openFirst))))
					now := time.Now()
					o.Pass(now)
					for i := range all {
						for _, due := range all[i].due {
							if !due.After(now) {
								t.Fatalf("seed %d: connection %d was due %s ago", seed, i, now.Sub(due))
							}
						}
					}
				}
				for _, w := range o.queue[len(o.queue):cap(o.queue)] {
					if w != nil {
						t.Fatal("memory is kept for a connection that is not in the queue")
					}
				}
			}
			for i := range all {
				openers[i].End()
			}
			if len(o.queue) > 0 {
				t.Fatalf("seed %d: %d are kept", seed, len(o.queue))
			}
		})
	}
}

// TestOpenedMeanwhile: a file that is opened while its connection is being checked is not missed.
func TestOpenedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := NewOpen()
		var w *Opener
		looks := 0
		w = o.Of(func(time.Time) time.Time {
			if looks++; looks == 1 {
				w.Opened() // after the check found no open file
			}
			return time.Time{}
		})
		w.Opened()
		for range 3 {
			time.Sleep(openFirst)
			o.Pass(time.Now())
		}
		if looks != 2 {
			t.Errorf("looked %d times", looks)
		}
	})
}

// TestOpenersAtOnce: a connection that has a file open at the end is checked, however often it opened and closed files before.
func TestOpenersAtOnce(t *testing.T) {
	o := NewOpen()
	var all sync.WaitGroup
	var done atomic.Bool
	var passed atomic.Int64 // the simulated time since the start
	passing := make(chan struct{})
	pass := func() { o.Pass(o.start.Add(time.Duration(passed.Add(int64(openFirst))))) }
	go func() {
		defer close(passing)
		for !done.Load() {
			pass()
		}
	}()
	const n = 8
	var looked [n]atomic.Bool
	for i := range n {
		var files atomic.Int32
		w := o.Of(func(now time.Time) (next time.Time) {
			if files.Load() == 0 {
				return time.Time{}
			}
			looked[i].Store(true)
			return now.Add(openAgain)
		})
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
	for i := range looked {
		looked[i].Store(false)
	}
	passed.Add(int64(openAgain))
	pass()
	for i := range looked {
		if !looked[i].Load() {
			t.Errorf("connection %d has a file open and is forgotten", i)
		}
	}
}
