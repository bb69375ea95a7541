package poll

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
)

var partners = types.NamespacedName{Namespace: "ns", Name: "partners"}

// fleet plays the pods of a listener, each with the book of its daemon.
type fleet struct {
	client client.Client
	*Poller

	mu    sync.Mutex
	now   time.Time
	books map[string]*keyuse.Book
	// asked counts questions for key use, by pod, and looks those for a status.
	asked  map[string]int
	looks  int
	status config.Status
	// mute pods do not answer.
	mute map[string]bool
	// during is called while a pod is asked.
	during func()
}

func newFleet(t *testing.T, pods ...string) *fleet {
	t.Helper()
	f := &fleet{
		client: fake.NewClientBuilder().Build(), now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC),
		books: map[string]*keyuse.Book{}, asked: map[string]int{}, mute: map[string]bool{}, status: config.Status{Digest: "d"},
	}
	f.Poller = &Poller{Client: f.client, Asker: f, Now: f.clock}
	for _, source := range []interface {
		Start(context.Context, workqueue.TypedRateLimitingInterface[reconcile.Request]) error
	}{f.Asking(), f.News()} {
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		t.Cleanup(q.ShutDown)
		if err := source.Start(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range pods {
		f.add(t, name)
	}
	return f
}

func (f *fleet) add(t *testing.T, name string) {
	t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: partners.Namespace, Name: name, UID: types.UID(name), Labels: map[string]string{"of": partners.Name}, Finalizers: []string{"test/held"},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "192.0.2.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	if err := f.client.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	f.books[name] = keyuse.New()
}

// end has a pod begin to end; gone has it go.
func (f *fleet) end(t *testing.T, name string) {
	t.Helper()
	if err := f.client.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: partners.Namespace, Name: name}}); err != nil {
		t.Fatal(err)
	}
}

func (f *fleet) gone(t *testing.T, name string) {
	t.Helper()
	f.end(t, name)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: partners.Namespace, Name: name}}
	if err := f.client.Patch(t.Context(), p, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		t.Fatal(err)
	}
}

func (f *fleet) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fleet) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// Ask implements ack.Asker.
func (f *fleet) Ask(context.Context, *corev1.Pod) (config.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	return f.status, nil
}

// KeyUse implements ack.Asker.
func (f *fleet) KeyUse(_ context.Context, p *corev1.Pod, _ string, before config.KeyUseReport) (config.KeyUseReport, error) {
	if f.during != nil {
		f.during()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[p.Name]++
	if f.mute[p.Name] {
		return config.KeyUseReport{}, errors.New("i/o timeout")
	}
	return f.books[p.Name].Since(before.Instance, before.Sequence), nil
}

func (f *fleet) tell(change func(*Told)) {
	t := Told{UID: "l", Pods: client.MatchingLabels{"of": partners.Name}, Tokens: [2]string{"token"}}
	if change != nil {
		change(&t)
	}
	f.Tell(partners, t)
}

// poll asks once, and returns when to do it again.
func (f *fleet) poll(t *testing.T) time.Duration {
	t.Helper()
	r, err := f.Poller.Reconcile(t.Context(), reconcile.Request{NamespacedName: partners})
	if err != nil {
		t.Fatal(err)
	}
	return r.RequeueAfter
}

// woken says whether the listener's reconciler was.
func (f *fleet) woken() bool {
	if f.wake.Len() == 0 {
		return false
	}
	r, _ := f.wake.Get()
	f.wake.Done(r)
	return true
}

// told are the keys in reports, sorted.
func told(reports []Report) []string {
	var out []string
	for _, r := range reports {
		for _, u := range r.Uses {
			out = append(out, u.Fingerprint)
		}
		for _, p := range r.HostKeyProofs {
			out = append(out, p.Fingerprint)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (f *fleet) unmerged(want ...string) func(*testing.T) []Report {
	return func(t *testing.T) []Report {
		t.Helper()
		reports := f.Reports(partners, "l")
		if got := told(reports); !slices.Equal(got, want) {
			t.Errorf("not merged yet: %v, want %v", got, want)
		}
		return reports
	}
}

// What a pod tells is there until it is merged, and only then confirmed to the pod; what comes meanwhile, of another
// process of the pod as well, is not lost with it.
func TestReports(t *testing.T) {
	f := newFleet(t, "a", "b")
	f.tell(nil)
	f.poll(t)
	if f.woken() {
		t.Error("woken without news")
	}
	f.books["a"].Note("u", "1", f.clock())
	f.books["b"].NoteProof("u", "host")
	f.pass(Interval)
	f.poll(t)
	if !f.woken() {
		t.Error("not woken by news")
	}
	first := f.unmerged("1", "host")(t)

	f.books["a"].Note("u", "2", f.clock())
	gone := func(string) bool { return false }
	f.books["a"].Keep(gone, gone, f.clock()) // nobody has confirmed the first: it must be told again
	f.pass(Interval)
	f.poll(t)
	f.unmerged("1", "2", "host")(t)

	f.Merged(partners, "l", first)
	second := f.unmerged("1", "2")(t) // the one report of a has both
	f.books["a"] = keyuse.New()       // killed
	f.books["a"].Note("u", "3", f.clock())
	f.pass(Interval)
	f.poll(t)
	f.Merged(partners, "l", second)
	third := f.unmerged("3")(t)
	f.gone(t, "a")
	f.pass(Interval)
	f.poll(t)
	f.unmerged("3")(t)
	f.Merged(partners, "l", third)
	f.unmerged()(t)

	f.books["b"].Note("u", "4", f.clock())
	f.pass(Interval)
	f.poll(t)
	f.unmerged("4")(t) // not the proof again
}

// Another listener under the same name, and one that is gone, have no reports of the former, not even of an answer that
// was under way. A paused one keeps its.
func TestOtherListener(t *testing.T) {
	f := newFleet(t, "a")
	f.books["a"].Note("u", "1", f.clock())
	f.tell(nil)
	f.poll(t)
	f.tell(func(t *Told) { t.Tokens = [2]string{} })
	f.pass(Interval)
	if wait := f.poll(t); wait != 0 || f.asked["a"] != 1 {
		t.Errorf("asked %d times, again in %s; want once and never", f.asked["a"], wait)
	}
	f.unmerged("1")(t)

	f.tell(nil)
	f.woken()
	f.during = func() { f.tell(func(t *Told) { t.UID = "other" }) }
	f.poll(t)
	if got := f.Reports(partners, "other"); len(got) > 0 || f.woken() {
		t.Errorf("reports %v of a listener that is gone", got)
	}
	f.during = nil
	f.poll(t)
	if got := told(f.Reports(partners, "other")); len(got) != 1 || !f.woken() {
		t.Errorf("reports %v, want what the pod knows", got)
	}
	if got := f.Reports(partners, "l"); len(got) > 0 {
		t.Errorf("reports %v for the listener before", got)
	}
	f.Forget(partners)
	if got := f.Reports(partners, "other"); len(got) > 0 || f.poll(t) != 0 {
		t.Errorf("reports %v of a listener that was forgotten", got)
	}
}

// When a pod is asked, and how soon again.
func TestIntervals(t *testing.T) {
	for name, tc := range map[string]struct {
		// before the second look, after which time.
		before func(*testing.T, *fleet)
		passed time.Duration
		asked  int // in all
		again  time.Duration
	}{
		"at rest, too early":            {nil, Interval - time.Second, 1, time.Second},
		"at rest":                       {nil, Interval, 2, Interval},
		"ending, too early":             {func(t *testing.T, f *fleet) { f.end(t, "a") }, time.Second, 1, time.Second},
		"ending":                        {func(t *testing.T, f *fleet) { f.end(t, "a") }, 2 * time.Second, 2, 2 * time.Second},
		"after a reconcile, too early":  {func(_ *testing.T, f *fleet) { f.tell(nil) }, gap / 2, 1, gap / 2},
		"after a reconcile":             {func(_ *testing.T, f *fleet) { f.tell(nil) }, gap, 2, Interval},
		"after one that it has brought": {func(_ *testing.T, f *fleet) { f.tell(func(t *Told) { t.Later = true }) }, gap, 1, Interval - gap},
		"the clock was set back":        {nil, -time.Hour, 2, Interval},
		"gone":                          {func(t *testing.T, f *fleet) { f.gone(t, "a") }, Interval, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, "a")
			f.tell(nil)
			if again := f.poll(t); again != Interval || f.asked["a"] != 1 {
				t.Fatalf("at first asked %d times, again in %s", f.asked["a"], again)
			}
			if tc.before != nil {
				tc.before(t, f)
			}
			f.pass(tc.passed)
			if again := f.poll(t); again != tc.again || f.asked["a"] != tc.asked {
				t.Errorf("asked %d times, again in %s; want %d and %s", f.asked["a"], again, tc.asked, tc.again)
			}
		})
	}
}

// A pod that does not answer costs a second each time: reconciles do not have it asked more often.
func TestMutePod(t *testing.T) {
	f := newFleet(t, "a", "b")
	f.mute["a"] = true
	f.tell(nil)
	f.poll(t)
	f.tell(nil)
	f.pass(gap)
	if again := f.poll(t); f.asked["a"] != 1 || f.asked["b"] != 2 || again != Interval-gap {
		t.Errorf("asked %v, again in %s", f.asked, again)
	}
	f.pass(Interval)
	f.poll(t)
	if f.asked["a"] != 2 {
		t.Errorf("asked %v", f.asked)
	}
}

// A pod that is not as it was found brings a reconcile; the number of sessions does not.
func TestLook(t *testing.T) {
	f := newFleet(t, "a")
	found := ack.Survey(t.Context(), f, list(t, f), "d")
	f.looks = 0
	f.tell(func(t *Told) { t.Digest, t.Found = "d", &found })
	look := func(wantLooks int, wantWoken bool) {
		t.Helper()
		f.poll(t)
		if woken := f.woken(); f.looks != wantLooks || woken != wantWoken {
			t.Errorf("looked %d times, woken: %v; want %d and %v", f.looks, woken, wantLooks, wantWoken)
		}
		f.pass(Interval)
	}
	look(0, false) // it was looked at just now
	look(1, false)
	f.status.Sessions = new(7)
	look(2, false)
	f.status.Volumes = []config.VolumeStatus{{Name: "home", Problem: config.VolumeFull}}
	look(3, true)
	f.tell(nil) // the reconciler looks by itself
	look(3, false)
}

// The two questions to a pod are asked together, whichever is due first.
func TestTogether(t *testing.T) {
	for name, first := range map[string]time.Duration{"the use of keys first": 10 * time.Second, "the state first": -10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, "a")
			found := ack.Survey(t.Context(), f, list(t, f), "d")
			known := func(t *Told) { t.Digest, t.Found, t.Later = "d", &found, true }
			f.looks = 0
			f.tell(known)
			if first < 0 {
				f.pass(-first)
			}
			f.poll(t) // the use of keys
			if first > 0 {
				f.pass(first)
				f.tell(known)
			}
			for range 3 {
				f.pass(f.poll(t))
			}
			if f.looks != 2 || f.asked["a"] != 3 {
				t.Errorf("looked %d times, asked %d times", f.looks, f.asked["a"])
			}
		})
	}
}

func list(t *testing.T, f *fleet) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := f.client.List(t.Context(), &pods); err != nil {
		t.Fatal(err)
	}
	return pods.Items
}

// Logins, questions and reconciles at the same time: in the end everything was merged.
func TestConcurrently(t *testing.T) {
	const logins = 200
	f := newFleet(t, "a", "b", "c")
	f.tell(nil)
	merged := map[string]bool{}
	merge := func() {
		reports := f.Reports(partners, "l")
		for _, k := range told(reports) {
			merged[k] = true
		}
		f.Merged(partners, "l", reports)
		f.tell(func(t *Told) { t.Later = len(reports) > 0 })
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range logins {
			f.books[[]string{"a", "b", "c"}[i%3]].Note("u", strconv.Itoa(i), f.clock())
		}
	})
	wg.Go(func() {
		for range logins {
			merge()
		}
	})
	for range logins {
		f.pass(Interval / 2)
		f.poll(t)
	}
	wg.Wait()
	f.pass(Interval)
	f.poll(t)
	merge()
	if len(merged) != logins {
		t.Errorf("%d logins were merged, of %d", len(merged), logins)
	}
	if got := f.Reports(partners, "l"); len(got) > 0 {
		t.Errorf("reports %v are merged and still there", got)
	}
}
