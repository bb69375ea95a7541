package retention

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// clocks are the clocks of a node and a volume, together with the true time.
type clocks struct {
	true, off, volumeOff time.Duration // since start; how far the clocks are off
	booted               time.Duration
	boot                 int
}

func (c *clocks) read() Reading {
	now := start.Add(c.true)
	return Reading{Wall: now.Add(c.off), Volume: now.Add(c.off + c.volumeOff), Boot: fmt.Sprint("boot", c.boot), Since: c.true - c.booted}
}

func (c *clocks) reboot() { c.boot, c.booted = c.boot+1, c.true }

func TestClock(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	for _, c := range []struct {
		name string
		do   func(c *clocks)
		want Doubt
		// settles is whether a steady day ends the doubt.
		settles bool
	}{
		{"an hour passes", func(c *clocks) { c.true += hour }, "", true},
		{"a reboot", func(c *clocks) { c.true += hour; c.reboot() }, "", true},
		{"a small correction", func(c *clocks) { c.true += hour; c.off = 5 * time.Minute }, "", true},
		{"forward", func(c *clocks) { c.true += hour; c.off = 400 * day }, DoubtJumped, true},
		{"back", func(c *clocks) { c.true += hour; c.off = -400 * day }, DoubtJumped, true},
		{"forward while the node was off", func(c *clocks) { c.true += hour; c.reboot(); c.off = 3 * day }, DoubtJumped, true},
		{"back while the node was off", func(c *clocks) { c.true += hour; c.reboot(); c.off = -3 * day }, DoubtJumped, true},
		{"off for a week", func(c *clocks) { c.true += 7 * day; c.reboot() }, DoubtJumped, true},
		{"suspended for a week", func(c *clocks) { c.true += 7 * day }, "", true}, // the time since boot continues
		{"the volume's clock differs", func(c *clocks) { c.true += hour; c.volumeOff = 2 * hour }, DoubtJumped, false},
		{"the volume's clock differs slowly", func(c *clocks) { c.true += hour; c.volumeOff, c.off = 9*time.Minute, -9*time.Minute }, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			is := &clocks{}
			trust, doubt := Trust{}.Next(is.read())
			if doubt != DoubtFirst {
				t.Fatalf("first: %q", doubt)
			}
			is.true += hour
			if trust, doubt = trust.Next(is.read()); doubt != "" {
				t.Fatalf("second: %q", doubt)
			}
			c.do(is)
			if trust, doubt = trust.Next(is.read()); doubt != c.want {
				t.Errorf("doubt %q, want %q", doubt, c.want)
			}
			for range 23 {
				is.true += hour
				if trust, doubt = trust.Next(is.read()); c.want != "" && doubt == "" {
					t.Fatal("trusted within a day")
				}
			}
			is.true += 2 * hour
			if _, doubt = trust.Next(is.read()); (doubt == "") != c.settles {
				t.Errorf("after a day: %q", doubt)
			}
		})
	}
}

// Files that are uploaded while the clock is wrong do not count as old when it is corrected: a node that starts in 1970
// must not have them deleted as soon as it learns the time.
func TestUploadsAtAWrongTime(t *testing.T) {
	is := &clocks{}
	trust, _ := Trust{}.Next(is.read())
	is.true += time.Hour
	is.reboot()
	is.off = -20000 * time.Hour
	trust, _ = trust.Next(is.read())
	is.true += 30 * time.Minute
	uploaded := start.Add(is.true + is.off)
	is.true += 20 * time.Minute
	is.off = 0
	trust, doubt := trust.Next(is.read())
	if doubt != DoubtJumped {
		t.Fatalf("%q", doubt)
	}
	if at, now := trust.Uploaded(uploaded, uploaded), start.Add(is.true); !at.Equal(now) {
		t.Errorf("counts as uploaded at %s, now is %s", at, now)
	}
	if old := start.Add(-100 * time.Hour); !trust.Uploaded(old, old).Equal(old) {
		t.Error("other files are considered new")
	}
}

// Whatever clocks do, a file that was uploaded while it was watched is not deleted before its time, except for the day that
// cannot be measured across a reboot. Steady clocks are trusted again.
func TestClockAgainstAModel(t *testing.T) {
	type file struct{ uploaded, stamped time.Duration }
	const age = 30 * 24 * time.Hour
	deleted := 0
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		is := &clocks{true: 1}
		var trust Trust
		var files []file
		for step := range 4000 {
			is.true += lookEvery
			switch random.IntN(700) {
			case 0:
				is.off = time.Duration(random.Int64N(int64(4000 * 24 * time.Hour)))
			case 1:
				is.off = -time.Duration(random.Int64N(int64(4000 * 24 * time.Hour)))
			case 2, 3:
				is.off = 0
			case 4:
				is.reboot()
			}
			var doubt Doubt
			trust, doubt = trust.Next(is.read())
			now := is.true + is.off
			kept := files[:0]
			for _, f := range files {
				at := start.Add(f.stamped)
				if doubt == "" && start.Add(now).Sub(trust.Uploaded(at, at)) >= age {
					deleted++
					if early := age - (is.true - f.uploaded); early > maxGap+time.Hour && is.off == 0 {
						t.Fatalf("seed %d: deleted %s after its upload", seed, is.true-f.uploaded)
					}
					continue
				}
				kept = append(kept, f)
			}
			if files = kept; step%12 == 0 {
				files = append(files, file{is.true, now})
			}
		}
	}
	if deleted < 5000 {
		t.Errorf("only %d files were deleted: the test shows nothing", deleted)
	}
}

func TestWrongPeriodsAreBounded(t *testing.T) {
	is := &clocks{}
	trust, _ := Trust{}.Next(is.read())
	var stamps []time.Time
	for i := range 3 * maxWrong {
		period := i * 11 % (3 * maxWrong) // in no order
		is.true, is.off = is.true+time.Hour, -time.Duration(period+1)*1000*time.Hour
		trust, _ = trust.Next(is.read())
		stamps = append(stamps, start.Add(is.true+is.off))
		is.true, is.off = is.true+time.Hour, 0
		trust, _ = trust.Next(is.read())
	}
	if len(trust.Wrong) > maxWrong {
		t.Errorf("%d periods", len(trust.Wrong))
	}
	for _, at := range stamps {
		if !trust.Uploaded(at, at).After(start) {
			t.Errorf("%s is forgotten", at)
		}
	}
}
