package retention

import (
	"slices"
	"time"
)

// Times for comparing clocks.
const (
	// tolerance is how far two clocks may differ. It is below config.MinRetentionSeconds.
	tolerance = 10 * time.Minute
	// settle is how long a clock has to be steady after a doubt before anything is deleted. This gives people time to notice an
	// alert.
	settle = 24 * time.Hour
	// lookEvery is how often the clocks are read, and maxGap how much time may have passed between two
	// readings if no steady clock has measured it: after a reboot, or on another node.
	lookEvery = time.Hour
	maxGap    = 25 * time.Hour
	// maxWrong bounds the periods that are remembered.
	maxWrong = 16
)

// Reading is what the clocks show at one moment.
type Reading struct {
	// Wall is the daemon's clock.
	Wall time.Time `json:"wall"`
	// Volume is the clock that gives files on the volume their times: that of a file server, or the node's.
	Volume time.Time `json:"volume"`
	// Boot identifies the node's boot, and Since is the time since then. It is never set.
	Boot  string        `json:"boot"`
	Since time.Duration `json:"since"`
}

// Span is a period in which the volume's clock was wrong. Files uploaded in it count as uploaded at Seen.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Seen time.Time `json:"seen"`
}

// Trust is what is known about the clocks of a volume. It is kept on the volume.
//
//nolint:recvcheck // correct is a step of Next
type Trust struct {
	Last Reading `json:"last"`
	// From is when deletion may begin, by the volume's clock.
	From time.Time `json:"from"`
	// Peak is the latest time that the clock has shown, plus the measured time since then. Back is the time from which the
	// clock has been behind Peak, zero if it is not. If the clock was set several times meanwhile, Until is the latest time
	// that it has shown.
	Peak  time.Time `json:"peak"`
	Back  time.Time `json:"back,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Wrong are periods that a later correction has shown to be wrong.
	Wrong []Span `json:"wrong,omitempty"`
}

// Doubt is why the clocks are not trusted, "" if they are.
type Doubt string

// The doubts.
const (
	// DoubtFirst: this is the first run on the volume, so there is nothing to compare with.
	DoubtFirst Doubt = "first run on this volume"
	// DoubtDisagree: the daemon's clock and the volume's differ.
	DoubtDisagree Doubt = "the clocks of the pod and of the volume differ"
	// DoubtJumped: the clock was set, or was not observed for a long time.
	DoubtJumped Doubt = "the clock of the volume was set, or was not observed for more than a day"
	// DoubtSettling: one of the others applied less than a day ago.
	DoubtSettling Doubt = "the clock of the volume has not been steady for a day"
)

// Next returns what is known after a further reading, and whether to trust the clock now.
func (t Trust) Next(now Reading) (Trust, Doubt) {
	last := t.Last
	t.Last = now
	if last.Volume.IsZero() {
		t.From, t.Peak = now.Volume, now.Volume
		return t, DoubtFirst
	}
	expected, known := last.Volume, last.Boot == now.Boot && last.Boot != "" && now.Since >= last.Since
	if known {
		expected, t.Peak = expected.Add(now.Since-last.Since), t.Peak.Add(now.Since-last.Since)
	}
	ahead := now.Volume.Sub(expected)
	doubt := Doubt("")
	switch {
	case ahead < -tolerance:
		if t.Back.IsZero() {
			t.Back = now.Volume
		} else {
			t.Back, t.Until = earlier(t.Back, now.Volume), later(t.Until, expected)
		}
		doubt = DoubtJumped
	case known && ahead > tolerance, !known && ahead > maxGap:
		t.correct(expected, now.Volume)
		doubt = DoubtJumped
	case abs(now.Wall.Sub(now.Volume)) > tolerance:
		doubt = DoubtDisagree
	}
	t.Peak = later(t.Peak, now.Volume)
	if doubt != "" {
		t.From = now.Volume.Add(settle)
		return t, doubt
	}
	if now.Volume.Before(t.From) {
		return t, DoubtSettling
	}
	return t, ""
}

// correct records that the clock was wrong from when it was set back until now.
func (t *Trust) correct(until, seen time.Time) {
	if t.Back.IsZero() {
		return
	}
	span := Span{From: t.Back.Add(-lookEvery), To: later(t.Until, until).Add(lookEvery), Seen: seen}
	t.Back, t.Until = time.Time{}, time.Time{}
	if seen.Before(t.Peak.Add(-tolerance)) { // set, and still wrong
		t.Back = seen
	}
	t.Wrong = append(slices.Clip(t.Wrong), span)
	if len(t.Wrong) > maxWrong { // a period that is too long is safer than a forgotten one
		a, b := t.Wrong[0], t.Wrong[1]
		t.Wrong[1] = Span{From: earlier(a.From, b.From), To: later(a.To, b.To), Seen: later(a.Seen, b.Seen)}
		t.Wrong = t.Wrong[1:]
	}
}

// Uploaded returns when a file counts as uploaded: the later of when it was created and when it last changed. btime is zero where
// the file system does not have it.
func (t Trust) Uploaded(btime, ctime time.Time) time.Time {
	at := later(btime, ctime)
	if len(t.Wrong) == 0 {
		return at
	}
	// The correction itself may have been wrong.
	times := append(make([]time.Time, 0, maxWrong+1), at)
	for _, w := range t.Wrong {
		if slices.ContainsFunc(times, func(at time.Time) bool { return !at.Before(w.From) && !at.After(w.To) }) {
			times = append(times, w.Seen)
		}
	}
	return slices.MaxFunc(times, time.Time.Compare)
}

func abs(d time.Duration) time.Duration { return max(d, -d) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
