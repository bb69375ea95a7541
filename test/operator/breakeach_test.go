package operator

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// slowness returns the factor for time limits. With SLOW_MACHINE=4, tests that measure time allow four times as much, for a
// busy machine.
func slowness() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("SLOW_MACHINE")); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return time.Second
}

// brokenCase is one call that fails in one way.
type brokenCase struct {
	call     string
	fault    fault
	stimulus stimulus
}

func (c brokenCase) name() string {
	return fmt.Sprintf("%s %s on %s", c.fault, c.call, c.stimulus.name)
}

// writesConfiguration reports whether no removal can reach the pods without the call.
func writesConfiguration(call string) bool {
	return strings.HasPrefix(call, "APPLY secrets/partners-sftp-config") || strings.HasPrefix(call, "APPLY secrets/partners-sftp-users-")
}

// silent lists calls whose failure is not reported, with the reason.
var silent = map[string]string{
	"PATCH sftplisteners/partners/status": "this call would report it",
	"PATCH sftpusers/":                    "this call would report it",
	"PATCH sftpkeys/":                     "this call would report it",
	"POST events":                         "a condition reports the same",
	"PATCH events":                        "a condition reports the same",
	"PATCH pods":                          "the pods acknowledge anyway; if they do not, the listener's status says so",
	"GET sftplisteners/":                  "a read that bypasses the cache, and is repeated; nothing is missing meanwhile",
	"GET sftpusers/":                      "a read that bypasses the cache, and is repeated; nothing is missing meanwhile",
	"GET sftpkeys/":                       "a read that bypasses the cache, and is repeated; nothing is missing meanwhile",
}

func mustSay(call string) bool {
	for prefix := range silent {
		if strings.HasPrefix(call, prefix) {
			return false
		}
	}
	return !writesConfiguration(call) // a retry a moment later succeeds
}

// Each call that the operator makes for a listener fails once; with BREAK_FAULTS=all, in each way. In each case, one login is
// deleted and one suspended at that time, and both are gone from the pods at once, the conditions of the others do not change,
// and the operator reports the problem.
func TestBreakEachStep(t *testing.T) {
	b := newBreaker()
	account := running.account
	restartOperator(t, func() {
		faulty := rest.CopyConfig(account)
		faulty.Wrap(func(rt http.RoundTripper) http.RoundTripper {
			b.RoundTripper = rt
			return b
		})
		running.account = faulty
	})
	t.Cleanup(func() { restartOperator(t, func() { running.account = account }) })

	const rigs = 6
	var ready [rigs]*rig
	var wg sync.WaitGroup
	for i := range ready {
		wg.Go(func() { t.Run(fmt.Sprint("rig ", i), func(t *testing.T) { ready[i] = newRig(t) }) })
	}
	wg.Wait()
	if slices.Contains(ready[:], nil) {
		t.FailNow()
	}
	t.Cleanup(func() {
		for _, r := range ready {
			r.dismantle(t)
		}
	})
	cases := discover(t, b, ready[:])
	queue := make(chan brokenCase, len(cases))
	for _, c := range cases {
		queue <- c
	}
	close(queue)
	var sum tally
	for i := range ready {
		wg.Go(func() {
			for c := range queue {
				if !t.Run(c.name(), func(t *testing.T) { sum.add(c, runBroken(t, b, ready[i], c)) }) {
					b.repair(ready[i].ns)
					ready[i].dismantle(t)
					t.Run("a new rig", func(t *testing.T) { ready[i] = newRig(t) })
				}
			}
		})
	}
	wg.Wait()
	sum.report(t, len(cases))
}

// discover finds out which calls there are, and what triggers each of them.
func discover(t *testing.T, b *breaker, ready []*rig) (cases []brokenCase) {
	t.Helper()
	var mu sync.Mutex
	calls := map[string]int{} // the first stimulus that triggers each
	next := make(chan int, len(stimuli))
	for i := range stimuli {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for _, r := range ready {
		wg.Go(func() {
			for i := range next {
				t.Run("discover "+stimuli[i].name, func(t *testing.T) {
					b.record(r.ns)
					stimuli[i].run(t, r)
					time.Sleep(200 * time.Millisecond)
					r.revoke(t, time.Minute) // a separate case measures it
					time.Sleep(time.Second)
					found := b.recorded(r.ns)
					if stimuli[i].undo != nil {
						stimuli[i].undo(t, r)
					}
					r.restore(t)
					r.healthy(t)
					mu.Lock()
					defer mu.Unlock()
					for call := range found {
						if before, ok := calls[call]; !ok || i < before {
							calls[call] = i
						}
					}
				})
			}
		})
	}
	wg.Wait()
	for i, call := range slices.Sorted(maps.Keys(calls)) {
		t.Logf("%s: by %s", call, stimuli[calls[call]].name)
		all := faults(call)
		if os.Getenv("BREAK_FAULTS") != "all" { // the others take four minutes more
			all = all[i%len(all):][:1]
		}
		for _, f := range all {
			cases = append(cases, brokenCase{call, f, stimuli[calls[call]]})
		}
	}
	return cases
}

// result of a case.
type brokenResult struct {
	took time.Duration
	hit  bool
	said string
}

func runBroken(t *testing.T, b *breaker, r *rig, c brokenCase) (out brokenResult) {
	before := r.unaffected(t)
	limit := 2 * slowness()
	once := writesConfiguration(c.call)
	if once {
		limit = 3 * slowness()
	}
	warned := r.warnings(t)
	b.damage(r.ns, &breakage{call: c.call, fault: c.fault, once: once})
	c.stimulus.run(t, r)
	for end := time.Now().Add(300 * time.Millisecond); b.hits(r.ns) == 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	out.took = r.revoke(t, limit)
	r.compare(t, "when the logins were gone", before)
	made := time.Now()
	for mustSay(c.call) && time.Since(made) < 15*slowness() && (b.hits(r.ns) > 0 || time.Since(made) < 3*slowness()) {
		if out.said = r.said(t); out.said != "" {
			break
		}
		for w := range r.warnings(t) {
			if !warned[w] && marked(w) {
				out.said = w
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !mustSay(c.call) && !once {
		time.Sleep(300 * time.Millisecond) // for its retries
	}
	out.hit = b.hits(r.ns) > 0
	if out.hit && mustSay(c.call) && out.said == "" {
		t.Errorf("nothing reports what is wrong")
	}
	b.repair(r.ns)
	if c.stimulus.undo != nil {
		c.stimulus.undo(t, r)
	}
	r.restore(t)
	r.healthy(t)
	r.compare(t, "after it was repaired", before)
	return out
}

// tally sums up cases. mu guards it.
type tally struct {
	mu         sync.Mutex
	ran, hit   int
	worst      time.Duration
	worstCase  string
	worstOnce  time.Duration
	unreached  []string
	whatIsSaid map[string]string
}

func (s *tally) add(c brokenCase, r brokenResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ran++
	if !r.hit {
		s.unreached = append(s.unreached, c.name())
		return
	}
	s.hit++
	if writesConfiguration(c.call) {
		s.worstOnce = max(s.worstOnce, r.took)
	} else if r.took > s.worst {
		s.worst, s.worstCase = r.took, c.name()
	}
	if s.whatIsSaid == nil {
		s.whatIsSaid = map[string]string{}
	}
	s.whatIsSaid[c.name()] = r.said
}

func (s *tally) report(t *testing.T, cases int) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(s.whatIsSaid)) {
		t.Logf("%s: %s", name, s.whatIsSaid[name])
	}
	t.Logf("BREAK %d cases, in %d of them the call was made and failed; worst %s (%s), for calls that write the configuration %s; not reached: %q",
		cases, s.hit, s.worst.Round(time.Millisecond), s.worstCase, s.worstOnce.Round(time.Millisecond), s.unreached)
	least, reached := 30, cases*8/10
	if os.Getenv("BREAK_FAULTS") == "all" {
		least, reached = 100, cases*9/10
	}
	if s.hit < reached || cases < least {
		t.Errorf("of %d cases, only %d were reached, so the test does not prove what it should", cases, s.hit)
	}
}
