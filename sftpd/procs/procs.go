// Package procs has the daemon run on one processor while one client at most is at work.
//
// A packet passes three goroutines of golang.org/x/crypto/ssh and one of the session. While a
// processor is free, Go's scheduler wakes a thread on it for each of them, to find that the
// next goroutine is already running, or to take it to a cold cache. For a client that waits for
// each answer, as with small files, sshfs or a person at the keyboard, that is more than half of
// the CPU time, and of the time that passes. With one processor there is nobody to wake.
package procs

import (
	"runtime"
	"syscall"
	"time"
)

const (
	// calmTicks is how often in a row one processor has to have been enough before the
	// others are left alone.
	calmTicks = 5
	// enough is how much of a processor may be used when it is, where there are many: a single
	// client that moves large files uses more, and does so faster with two.
	enough = 0.8
	// few processors are best left to the kernel while one client moves a large file: its
	// network and its files take about as much as the daemon does.
	few = 2
)

// Governor decides on processors (GOMAXPROCS). It is for one goroutine, but for Login.
type Governor struct {
	one  func() // run on one processor
	all  func() // or on those that there are
	used func() time.Duration

	processors int // that there are

	login chan struct{} // a login has begun since the last tick
	calm  int
	alone bool
	at    time.Time
	cpu   time.Duration // used at that time
}

// New returns a governor of this process. It is nil, which does nothing, where there is one
// processor anyway.
func New() *Governor {
	processors := runtime.GOMAXPROCS(0)
	if processors == 1 {
		return nil
	}
	return newGovernor(processors, func() { runtime.GOMAXPROCS(1) }, runtime.SetDefaultGOMAXPROCS, cpuTime)
}

func newGovernor(processors int, one, all func(), used func() time.Duration) *Governor {
	return &Governor{processors: processors, one: one, all: all, used: used, login: make(chan struct{}, 1)}
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Login is to be called when a connection comes. A login is work that others should not wait
// for. It may be called by any goroutine.
func (g *Governor) Login() {
	if g == nil {
		return
	}
	select {
	case g.login <- struct{}{}:
	default:
	}
}

// Began is readable when a connection has come, for whoever calls Tick to do so at once.
func (g *Governor) Began() <-chan struct{} {
	if g == nil {
		return nil
	}
	return g.login
}

// Tick decides. busy is how many clients have asked for something of late, logins how many
// are not logged in.
func (g *Governor) Tick(now time.Time, busy, logins int) {
	if g == nil {
		return
	}
	used := g.used()
	passed, cpu := now.Sub(g.at), used-g.cpu
	g.at, g.cpu = now, used
	if busy > 1 || logins > 0 || g.processors > few && float64(cpu) > enough*float64(passed) {
		g.calm = 0
		if g.alone {
			g.alone = false
			g.all()
		}
		return
	}
	if g.calm++; g.calm >= calmTicks && !g.alone {
		g.alone = true
		g.one()
	}
}
