package attack

import (
	"math"
	"slices"
	"testing"
	"time"
)

// quantile returns a quantile of durations, for q from 0 to 1.
func quantile(d []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func median(d []time.Duration) time.Duration { return quantile(d, 0.5) }

// mannWhitney compares two samples without assumptions about their distributions. It returns U of the first, and the two-sided
// probability of a difference at least as large if both have the same distribution: by the normal approximation, corrected for
// ties.
func mannWhitney(a, b []time.Duration) (u, p float64) {
	type value struct {
		d     time.Duration
		first bool
	}
	var all []value
	for _, d := range a {
		all = append(all, value{d, true})
	}
	for _, d := range b {
		all = append(all, value{d, false})
	}
	slices.SortFunc(all, func(x, y value) int { return int(x.d - y.d) })
	ranks, ties := 0.0, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].d == all[i].d {
			j++
		}
		for k := i; k < j; k++ {
			if all[k].first {
				ranks += float64(i+j+1) / 2
			}
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	n, m := float64(len(a)), float64(len(b))
	u = ranks - n*(n+1)/2
	variance := n * m / 12 * (n + m + 1 - ties/((n+m)*(n+m-1)))
	if variance == 0 {
		return u, 1
	}
	z := max(0, math.Abs(u-n*m/2)-0.5) / math.Sqrt(variance)
	return u, math.Erfc(z / math.Sqrt2)
}

// TestMannWhitney: values of R's wilcox.test(exact = FALSE), and a difference that must be detected.
func TestMannWhitney(t *testing.T) {
	of := func(values ...int) (out []time.Duration) {
		for _, v := range values {
			out = append(out, time.Duration(v))
		}
		return out
	}
	if u, p := mannWhitney(of(1, 2, 3, 4, 5), of(6, 7, 8, 9, 10)); u != 0 || math.Abs(p-0.01219) > 1e-4 {
		t.Errorf("apart: U %v, p %v", u, p)
	}
	if u, p := mannWhitney(of(1, 2, 3), of(1, 2, 3)); u != 4.5 || p != 1 {
		t.Errorf("equal: U %v, p %v", u, p)
	}
	var a, b []time.Duration
	for i := range 200 {
		a, b = append(a, time.Duration(i)), append(b, time.Duration(i+100))
	}
	if _, p := mannWhitney(a, b); p > 1e-6 {
		t.Errorf("shifted by half: p %v", p)
	}
}
