package gomaxprocs

import (
	"runtime"
	"testing"
	"time"
)

// played is a tuner with a simulated clock and CPU.
type played struct {
	*Tuner
	now   time.Time
	cpu   time.Duration
	moved uint64
	runs  string // on one or all
}

func play() *played {
	p := &played{now: time.Unix(1_800_000_000, 0), runs: "all"}
	p.Tuner = newTuner(4, func() { p.runs = "one" }, func() { p.runs = "all" }, func() time.Duration { return p.cpu })
	p.tick(0, 0, 0)
	return p
}

// tick is a fifth of a second in which a share of a processor was used and little was moved.
func (p *played) tick(used float64, busy, logins int) { p.move(used, 1<<20, busy, logins) }

// move is the same, with the bytes that were moved each second.
func (p *played) move(used float64, bytes uint64, busy, logins int) {
	const passes = 200 * time.Millisecond
	p.now = p.now.Add(passes)
	p.cpu += time.Duration(used * float64(passes))
	p.moved += bytes / 5
	p.Tick(p.now, Load{Busy: busy, Logins: logins, Moved: p.moved})
}

func (p *played) calmDown() {
	for range calmTicks {
		p.tick(0.5, 1, 0)
	}
}

func TestGovernor(t *testing.T) {
	for name, tc := range map[string]struct {
		then func(*played)
		runs string
	}{
		"one client, one request after the other": {func(p *played) { p.tick(0.75, 1, 0) }, "one"},
		"nobody": {func(p *played) { p.tick(0, 0, 0) }, "one"},
		"many clients, small files, little to do": {func(p *played) { p.tick(0.7, 16, 0) }, "one"},
		"many clients, small files, much to do":   {func(p *played) { p.tick(0.9, 16, 0) }, "all"},
		"two clients, large files":                {func(p *played) { p.move(0.2, 100<<20, 2, 0) }, "all"},
		"one client, a large file, slowly":        {func(p *played) { p.move(0.2, 100<<20, 1, 0) }, "one"},
		"a login":                                 {func(p *played) { p.tick(0.1, 1, 1) }, "all"},
		"one client, a large file":                {func(p *played) { p.tick(0.95, 1, 0) }, "all"},
		"again calm, not for long":                {func(p *played) { p.tick(0.95, 1, 0); p.tick(0.1, 1, 0) }, "all"},
		"again calm":                              {func(p *played) { p.tick(0.95, 1, 0); p.calmDown() }, "one"},
	} {
		t.Run(name, func(t *testing.T) {
			p := play()
			p.calmDown()
			if p.runs != "one" {
				t.Fatalf("calm, and it runs on %s", p.runs)
			}
			tc.then(p)
			if p.runs != tc.runs {
				t.Errorf("it runs on %s, want %s", p.runs, tc.runs)
			}
		})
	}
}

// With few processors, a single client gets one, whatever it does; two clients get all if they need them.
func TestFewProcessors(t *testing.T) {
	p := play()
	p.processors = few
	for range calmTicks {
		p.tick(0.99, 1, 0)
	}
	if p.runs != "one" {
		t.Errorf("a large file, and it runs on %s", p.runs)
	}
	if p.tick(0.7, 2, 0); p.runs != "one" {
		t.Errorf("two clients with little to do, and it runs on %s", p.runs)
	}
	if p.tick(0.99, 2, 0); p.runs != "all" {
		t.Errorf("two clients, and it runs on %s", p.runs)
	}
}

// TestStart: all processors are used until the load has been low for a while.
func TestStart(t *testing.T) {
	p := play()
	for range calmTicks - 2 {
		p.tick(0, 0, 0)
	}
	if p.runs != "all" {
		t.Errorf("it runs on %s", p.runs)
	}
}

func TestLoginIsNoticed(t *testing.T) {
	g := newTuner(4, nil, nil, nil)
	g.Login()
	g.Login() // no one waits
	select {
	case <-g.Began():
	default:
		t.Error("not noticed")
	}
	var none *Tuner
	none.Login()
	none.Tick(time.Now(), Load{Busy: 1, Logins: 1})
	if none.Began() != nil {
		t.Error("nothing tells of something")
	}
}

// TestProcess: the real governor changes GOMAXPROCS and restores it.
func TestProcess(t *testing.T) {
	before := runtime.GOMAXPROCS(max(2, runtime.NumCPU()))
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	g := New()
	now := time.Now()
	for i := range calmTicks + 1 {
		g.Tick(now.Add(time.Duration(i)*time.Hour), Load{})
	}
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("%d processors when calm", n)
	}
	g.Tick(now.Add(24*time.Hour), Load{Logins: 1})
	n := runtime.GOMAXPROCS(0)
	runtime.SetDefaultGOMAXPROCS()
	if want := runtime.GOMAXPROCS(0); g.alone || n != want {
		t.Errorf("%d processors with a login, want %d", n, want)
	}
}
