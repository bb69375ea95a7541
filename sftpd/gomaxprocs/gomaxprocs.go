// Package gomaxprocs runs the daemon on one processor while one is enough: while at most one client is active, or several request
// little data.
//
// A packet passes three goroutines of golang.org/x/crypto/ssh and one of the session. While a processor is idle, Go's scheduler
// wakes a thread on it for each of them, only to find that the next goroutine is already running, or to move it to a cold
// cache. For a client that waits for each answer, as with small files, sshfs or a person at the keyboard, that is more than
// half of the CPU time and of the elapsed time. With GOMAXPROCS=1 there is no idle P to wake. Several clients that copy small files
// keep the goroutines busier, and still cost a tenth less. Clients that move large files are faster on several processors.
package gomaxprocs

import (
	"runtime"
	"syscall"
	"time"
)

const (
	// calmTicks is the number of consecutive ticks for which one processor must have been enough before the others are given up.
	calmTicks = 5
	// enough is the share of a processor up to which a single one suffices on a machine with many: a client that moves large files
	// uses more, and is faster with two.
	enough = 0.8
	// bulk is the minimum number of bytes per second that several clients move if they move large files.
	bulk = 64 << 20
	// few processors are best left to the kernel while one client moves a large file: its
	// network and file work takes about as much as the daemon.
	few = 2
)

// Tuner tunes GOMAXPROCS. Only Login may be called concurrently.
type Tuner struct {
	one  func() // run on one processor
	all  func() // or on all of them
	used func() time.Duration

	processors int // in total

	login chan struct{} // a login has begun since the last tick
	calm  int
	alone bool
	at    time.Time
	cpu   time.Duration // used at that time
	moved uint64        // at that time
}

// Load describes what the daemon is doing.
type Load struct {
	// Busy is how many clients have made a request recently, and Logins how many are not logged in.
	Busy, Logins int
	// Moved is how many bytes the daemon has received and sent so far.
	Moved uint64
}

// New returns a tuner for this process. It is nil, which does nothing, if there is only
// one processor.
func New() *Tuner {
	processors := runtime.GOMAXPROCS(0)
	if processors == 1 {
		return nil
	}
	return newTuner(processors, func() { runtime.GOMAXPROCS(1) }, runtime.SetDefaultGOMAXPROCS, cpuTime)
}

func newTuner(processors int, one, all func(), used func() time.Duration) *Tuner {
	return &Tuner{processors: processors, one: one, all: all, used: used, login: make(chan struct{}, 1)}
}

// cpuTime returns the CPU time of the process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Login must be called for each new connection. A login is work that others should not wait
// for. It may be called by any goroutine.
func (t *Tuner) Login() {
	if t == nil {
		return
	}
	select {
	case t.login <- struct{}{}:
	default:
	}
}

// Began returns a channel that is readable after a new connection, so that Tick can be called at once.
func (t *Tuner) Began() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.login
}

// Tick sets the number of processors.
func (t *Tuner) Tick(now time.Time, load Load) {
	if t == nil {
		return
	}
	used := t.used()
	passed, cpu, moved := now.Sub(t.at).Seconds(), (used - t.cpu).Seconds(), float64(load.Moved-t.moved)
	t.at, t.cpu, t.moved = now, used, load.Moved
	if t.needsAll(load, cpu/passed, moved/passed) {
		t.calm = 0
		if t.alone {
			t.alone = false
			t.all()
		}
		return
	}
	if t.calm++; t.calm >= calmTicks && !t.alone {
		t.alone = true
		t.one()
	}
}

// needsAll reports whether one processor is not enough, given the share of a processor that is used and the bytes that are moved
// each second.
func (t *Tuner) needsAll(load Load, used, moved float64) bool {
	switch {
	case load.Logins > 0:
		return true
	case load.Busy > 1:
		return used > enough || moved > bulk
	default:
		return t.processors > few && used > enough
	}
}
