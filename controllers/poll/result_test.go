package poll

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Pods that have a configuration are reported at once; what they lack only after they had time to load it.
func TestResult(t *testing.T) {
	f := newFleet(t, "a", "b")
	if _, ok := f.Result(partners); ok {
		t.Error("a result of no target")
	}
	f.aimAt(nil)
	f.poll(t)
	if r, ok := f.Result(partners); !ok || !r.Done() || r.Ready != 2 || !f.woken() {
		t.Errorf("%+v, %v", r, ok)
	}

	written := f.clock()
	f.aimAt(func(t *Target) { t.Digest, t.Written = "d2", written })
	if _, ok := f.Result(partners); ok {
		t.Error("a result before anything was asked")
	}
	if again := f.poll(t); again != urgentInterval || f.woken() {
		t.Errorf("again in %s, or woken while the configuration is on its way", again)
	}
	f.loaded["a"] = "d2"
	f.pass(time.Second)
	if f.poll(t); f.woken() {
		t.Error("woken while the configuration is on its way")
	}
	f.loaded["b"] = "d2"
	f.pass(urgentInterval)
	if again := f.poll(t); !f.woken() || again != Interval-time.Second-urgentInterval && again > Interval {
		t.Errorf("not woken, again in %s", again)
	}
	r, ok := f.Result(partners)
	if !ok || !r.Done() || r.Digest != "d2" || !r.Began.Equal(written) || r.Completed.Sub(written) != time.Second+urgentInterval {
		t.Errorf("%+v, %v", r, ok)
	}
	f.pass(Interval)
	f.poll(t)
	if f.status.Sessions = new(3); f.woken() {
		t.Error("woken by nothing")
	}
	f.pass(Interval)
	if f.poll(t); f.woken() {
		t.Error("woken by a number of sessions")
	}
	if r, _ := f.Result(partners); r.Sessions == nil || *r.Sessions != 6 || !r.Completed.Equal(written.Add(time.Second+urgentInterval)) {
		t.Errorf("%+v", r)
	}
	f.status.Volumes = []config.VolumeStatus{{Name: "home", Problem: config.VolumeFull}}
	f.pass(Interval)
	if f.poll(t); !f.woken() {
		t.Error("not woken by a volume that is full")
	}
}

// A late pod is named with the time since which it has been late, across configurations, and asked less and less often.
func TestLatePod(t *testing.T) {
	f := newFleet(t, "a", "late")
	f.aimAt(nil)
	f.poll(t)
	f.woken()
	f.loaded["a"] = "d2"
	f.aimAt(digest("d2"))
	began := f.clock()
	last, requests := time.Duration(0), 0
	for f.clock().Sub(began) < 5*time.Minute {
		before := f.looks["late"]
		again := f.poll(t)
		if f.looks["late"] > before {
			requests++
		}
		last = again
		f.pass(again)
	}
	if requests > 40+8+5*6+2 || last > maxRetry {
		t.Errorf("asked %d times in five minutes, at last each %s", requests, last)
	}
	want := map[string]time.Time{"late": began}
	r, ok := f.Result(partners)
	if !ok || r.Acknowledged != 1 || !slices.Equal(r.Behind, []string{"late"}) || !maps.EqualFunc(r.Late, want, time.Time.Equal) || !r.Completed.IsZero() {
		t.Errorf("%+v, %v", r, ok)
	}
	f.loaded["a"] = "d3"
	f.aimAt(digest("d3"))
	f.poll(t)
	f.pass(settle)
	f.poll(t)
	if r, ok := f.Result(partners); !ok || !maps.EqualFunc(r.Late, want, time.Time.Equal) {
		t.Errorf("with another configuration %+v, %v", r, ok)
	}
	f.loaded["late"] = "d3"
	f.woken()
	for end := f.clock().Add(maxRetry + time.Second); f.clock().Before(end); f.pass(time.Second) {
		f.poll(t)
	}
	if r, _ := f.Result(partners); !r.Done() || len(r.Late) > 0 || !f.woken() {
		t.Errorf("%+v", r)
	}
}

// A pod that hangs costs no worker time and does not delay other pods, and its answer is used when it arrives.
func TestPodThatHangs(t *testing.T) {
	f := newFleet(t, "a", "hangs")
	release := make(chan struct{})
	f.hang["hangs"] = release
	f.aimAt(nil)
	for range 3 {
		began := time.Now()
		f.poll(t)
		if took := time.Since(began); took > passTimeout+time.Second {
			t.Errorf("a look took %s", took)
		}
		f.pass(settle)
	}
	if r, ok := f.Result(partners); !ok || r.Acknowledged != 1 || !slices.Equal(r.Behind, []string{"hangs"}) || f.looks["a"] == 0 {
		t.Errorf("%+v, %v", r, ok)
	}
	for f.own.Len() > 0 { // of the target
		req, _ := f.own.Get()
		f.own.Done(req)
	}
	close(release)
	for end := time.Now().Add(time.Minute); f.own.Len() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no request after the answer")
		}
	}
	f.poll(t)
	if r, _ := f.Result(partners); !r.Done() {
		t.Errorf("%+v", r)
	}
}

// However often configurations change, a pod that lacks them is reported.
func TestChangesAllTheTime(t *testing.T) {
	f := newFleet(t, "a")
	f.aimAt(nil)
	f.poll(t)
	f.woken()
	for i := range 60 {
		f.aimAt(digest("new" + string(rune('a'+i))))
		f.poll(t)
		f.pass(200 * time.Millisecond)
	}
	if !f.woken() {
		t.Error("never woken")
	}
}

// Volumes are refreshed again as long as pods lack the configuration, but not for one that Access is about to announce.
func TestSyncs(t *testing.T) {
	f := newFleet(t, "a", "slow")
	f.add(t, "starting", func(p *corev1.Pod) { p.Status.Conditions = nil })
	f.add(t, "told", func(p *corev1.Pod) {
		p.Annotations = map[string]string{v1alpha1.AnnotationConfigDigest: "d2", v1alpha1.AnnotationSyncRequested: noon.Format(time.RFC3339Nano)}
	})
	f.loaded["a"], f.loaded["slow"], f.loaded["told"] = "d2", "d1", "d1"
	f.aimAt(digest("d2"))
	want := func(when string, want map[string]int) {
		t.Helper()
		if !maps.Equal(f.syncs, want) {
			t.Errorf("%s: %v, want %v", when, f.syncs, want)
		}
	}
	f.poll(t)
	want("at once", map[string]int{})
	f.pass(grace)
	f.poll(t)
	want("after the time of Access", map[string]int{"slow": 1, "starting": 1})
	f.pass(ack.SyncAgain - grace)
	f.poll(t)
	want("1.5 s after the first request", map[string]int{"slow": 1, "starting": 1, "told": 1})
	f.pass(grace)
	f.poll(t)
	want("1.5 s after the Poller's", map[string]int{"slow": 2, "starting": 1, "told": 1})
	for end := f.clock().Add(time.Minute); f.clock().Before(end); {
		f.pass(f.poll(t))
	}
	if n := f.syncs["slow"]; n < 6 || n > 12 || f.syncs["starting"] != 1 || f.syncs["a"] != 0 {
		t.Errorf("within a minute %v", f.syncs)
	}
}

// Pods without a valid proof are reported; those of a paused listener are left alone.
func TestUnprovenAndPaused(t *testing.T) {
	f := newFleet(t, "a")
	f.keys["a"] = "foreign"
	f.aimAt(nil)
	f.poll(t)
	f.pass(settle)
	f.poll(t)
	r, ok := f.Result(partners)
	if !ok || r.Acknowledged != 0 || !strings.HasPrefix(r.Unproven, "pod a: ") || f.asked["a"] != 0 {
		t.Errorf("%+v, %v, asked for keys %d times", r, ok, f.asked["a"])
	}
	looks := f.looks["a"]
	f.aimAt(func(t *Target) { t.Paused = true })
	f.pass(time.Hour)
	if again := f.poll(t); again != 0 || f.looks["a"] != looks {
		t.Errorf("asked again in %s", again)
	}
	if _, ok := f.Result(partners); !ok {
		t.Error("what was known is forgotten")
	}
}

// A namespace whose pods all hang gets a share of all requests, is asked for the rest later, and does not affect others.
func TestNamespaceOfPodsThatHang(t *testing.T) {
	f := newFleet(t, "a")
	f.asks.init()
	for f.asks.limiter.Acquire(partners.Namespace) { // hundreds of its listeners are being asked
		continue
	}
	for range 1000 {
		f.asks.limiter.Acquire(partners.Namespace)
	}
	if !f.asks.limiter.Acquire("other") {
		t.Error("nothing is left for others")
	}
	f.aimAt(nil)
	began := time.Now()
	again := f.poll(t)
	if f.looks["a"] != 0 || again < 100*time.Millisecond || time.Since(began) > passTimeout {
		t.Errorf("asked %d times, again in %s, after %s", f.looks["a"], again, time.Since(began))
	}
	f.asks.limiter.Release(partners.Namespace)
	if f.poll(t); f.looks["a"] != 1 {
		t.Error("not asked when there was room")
	}
}
