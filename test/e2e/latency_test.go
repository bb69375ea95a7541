package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// runs is how often each latency is measured.
var runs = latencyRuns()

func latencyRuns() int {
	if n, err := strconv.Atoi(os.Getenv("E2E_LATENCY_RUNS")); err == nil && n > 0 {
		return n
	}
	return 10
}

// pause is the time between runs, so that changes come at the pace at which people make them. Back to back, the medians are
// about 0.95 s, because a kubelet refreshes a pod's volume at most about once a second.
const pause = 1500 * time.Millisecond

// summarize prints the figures and checks the bounds that users are promised, with a margin for a busy machine, multiplied by
// SLOW_MACHINE.
func summarize(t *testing.T, what string, times []time.Duration, median, worst time.Duration) {
	t.Helper()
	mid, late, last := percentile(times, 50), percentile(times, 95), percentile(times, 100)
	fmt.Printf("LATENCY %s: %d runs, median %d ms, 95 %% %d ms, worst %d ms\n",
		what, len(times), mid.Milliseconds(), late.Milliseconds(), last.Milliseconds())
	n := int(slowness() / time.Second)
	median, worst = median*time.Duration(n), worst*time.Duration(n)
	if mid > median || last > worst {
		t.Errorf("%s: median %s, worst %s; wanted at most %s and %s", what, mid, last, median, worst)
	}
}

// percentile returns the smallest value that is not exceeded by p percent; 0 if there are none.
func percentile(times []time.Duration, p int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// A user that is Ready can log in at once, every time.
func TestUserReadyMeansLogin(t *testing.T) {
	ns := newNamespace(t, "ready", nil)
	start := time.Now()
	l := newListener(t, ns, "partners", nil)
	fmt.Printf("LATENCY listener applied to Ready: %d ms\n", time.Since(start).Milliseconds())

	k := newKey(t)
	var times []time.Duration
	for i := range runs {
		name := fmt.Sprintf("user-%d", i)
		start := time.Now()
		newUser(t, l, ns, name, keyAuth(k))
		times = append(times, time.Since(start))
		if out, err := openSSH(t, l, name, &k, "", "pwd\n"); err != nil {
			t.Fatalf("run %d: the user is Ready but cannot log in: %v\n%s", i, err, out)
		}
		time.Sleep(pause)
	}
	summarize(t, "user applied to Ready (login succeeded at once each time)", times, 2*time.Second, 5*time.Second)
}
