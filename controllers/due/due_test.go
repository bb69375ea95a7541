package due

import (
	"testing"
	"time"
)

func TestEarliest(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		add  func(*Earliest)
		want time.Duration
	}{
		"nothing":              {func(*Earliest) {}, 0},
		"no time":              {func(e *Earliest) { e.At(time.Time{}) }, 0},
		"no duration":          {func(e *Earliest) { e.In(now, 0); e.In(now, -time.Second) }, 0},
		"a time":               {func(e *Earliest) { e.At(now.Add(time.Minute)) }, time.Minute},
		"a duration":           {func(e *Earliest) { e.In(now, time.Minute) }, time.Minute},
		"an earlier one later": {func(e *Earliest) { e.At(now.Add(time.Hour)); e.In(now, time.Second) }, time.Second},
		"a later one later":    {func(e *Earliest) { e.In(now, time.Second); e.At(now.Add(time.Hour)) }, time.Second},
		"no time after one":    {func(e *Earliest) { e.At(now.Add(time.Minute)); e.At(time.Time{}); e.In(now, 0) }, time.Minute},
		"now":                  {func(e *Earliest) { e.At(now) }, minWait},
		"passed":               {func(e *Earliest) { e.At(now.Add(-time.Hour)); e.At(now.Add(time.Hour)) }, minWait},
		"within the least":     {func(e *Earliest) { e.In(now, 1) }, minWait},
		"beyond the least":     {func(e *Earliest) { e.In(now, minWait+1) }, minWait + 1},
	} {
		var e Earliest
		c.add(&e)
		if got := e.Wait(now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
