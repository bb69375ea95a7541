package apply

import (
	"context"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Everything recorded about a listener is removed with it, and a new one with the same name starts with no records.
func TestForget(t *testing.T) {
	a := &Applier{Client: api, Live: api}
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "other", UID: "2222"}}
	theirs := service("forget-other", 22)
	theirs.Labels[v1alpha1.LabelListener] = "other"
	if _, err := a.For(other).Apply(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		wantApply(t, a, service("forget-"+strconv.Itoa(i), 22), true)
	}
	if n := len(a.memories); n != 2 {
		t.Fatalf("%d listeners are remembered", n)
	}
	a.Forget(types.NamespacedName{Namespace: "default", Name: "partners"})
	if n := len(a.memories); n != 1 || a.memories[client.ObjectKeyFromObject(other)] == nil {
		t.Errorf("%d listeners are remembered, want the other one", n)
	}
	if a.Wrote("Service", read(t, "forget-0")) || !a.Wrote("Service", read(t, "forget-other")) {
		t.Error("an object of the forgotten listener counts as its own, or one of the other does not")
	}

	again := other.DeepCopy()
	again.UID = "3333"
	if _, ok := a.recall(again, "Service/default/forget-other"); ok {
		t.Error("the object of the former listener is remembered for the new one")
	}
	a.remember(again, "Service/default/x", memo{sum: "x"})
	if _, ok := a.recall(other, "Service/default/forget-other"); ok {
		t.Error("what was applied for the former listener is still there")
	}
}

// etcd may be restored from a backup, and an object may be replaced by one with the same name: versions are then older, or
// belong to another object. An older version is attributed to a lagging cache only for a limited time after a write.
func TestOtherVersions(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	memo := memo{sum: "s", uid: "u", version: "100", wrote: now}
	for name, c := range map[string]struct {
		seen    bool
		uid     types.UID
		version string
		after   time.Duration
		want    bool
	}{
		"the same":                               {uid: "u", version: "100", want: true},
		"the same, later":                        {uid: "u", version: "100", seen: true, after: time.Hour, want: true},
		"newer":                                  {uid: "u", version: "101"},
		"newer, seen":                            {uid: "u", version: "101", seen: true},
		"older: the cache lags":                  {uid: "u", version: "99", want: true},
		"older: the cache lags, at last":         {uid: "u", version: "99", after: cacheLag - 1, want: true},
		"older for too long":                     {uid: "u", version: "99", after: cacheLag},
		"older, and the clock was set back":      {uid: "u", version: "99", after: -cacheLag},
		"older after the cache had it":           {uid: "u", version: "99", seen: true},
		"another object":                         {uid: "v", version: "100", seen: true},
		"another object, older":                  {uid: "v", version: "99", seen: true},
		"another object before, the cache lags":  {uid: "v", version: "99", want: true},
		"another object since":                   {uid: "v", version: "101"},
		"another object since, of the same name": {uid: "v", version: "100"},
		"no version to compare":                  {uid: "u", version: "x"},
		"a longer number is newer":               {uid: "u", version: "1000"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &Applier{Now: func() time.Time { return now.Add(c.after) }}
			m := memo
			if c.seen {
				m.wrote = time.Time{}
			}
			a.remember(listener, "id", m)
			live := &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: c.uid, ResourceVersion: c.version}}
			if got := a.matches(listener, "id", m, live); got != c.want {
				t.Errorf("matches: %v, want %v", got, c.want)
			}
			after, _ := a.recall(listener, "id")
			if want := c.seen || c.version == "100" && c.uid == "u"; after.wrote.IsZero() != want {
				t.Errorf("written at %s, which a cache has shown: %v", after.wrote, want)
			}
		})
	}
}

// A cache shows an object from before a restore. It is written again, including its content.
func TestRestoredObjectIsWritten(t *testing.T) {
	var restored *corev1.Service
	cached := interceptor.NewClient(api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if s, ok := o.(*corev1.Service); ok && restored != nil {
				restored.DeepCopyInto(s)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	a := &Applier{Client: cached, Live: api}
	wantApply(t, a, service("restored", 22), true)
	old := read(t, "restored")
	wantApply(t, a, service("restored", 2022), true)
	wantApply(t, a, service("restored", 2022), false) // the cache has it now
	restored = old
	wantApply(t, a, service("restored", 2022), true)
	restored = nil
	wantApply(t, a, service("restored", 2022), false) // the cache has it now
	// Restored, but as wanted: nothing is written.
	good := read(t, "restored")
	good.ResourceVersion = "1"
	restored = good
	wantApply(t, a, service("restored", 2022), false)
	// A new process has not yet written anything that a cache could lag behind.
	restored = nil
	a = &Applier{Client: cached, Live: api}
	wantApply(t, a, service("restored", 2022), false)
	restored = old
	wantApply(t, a, service("restored", 2022), true)
}

// ConfigMaps are not cached. They are read again only after some time, and written at once when something else is wanted.
func TestApplyUnwatched(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	reads := 0
	counted := interceptor.NewClient(api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			reads++
			return c.Get(ctx, key, o, opts...)
		},
	})
	a := &Applier{Client: counted, Live: api, Now: func() time.Time { return now }}
	lines := func(text string) *corev1.ConfigMap {
		return &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "lines", Labels: own}, Data: map[string]string{"a": text},
		}
	}
	apply := func(text string, wantNext time.Duration, wantReads int) {
		t.Helper()
		reads = 0
		next, err := a.For(listener).ApplyUnwatched(t.Context(), lines(text), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if got := next.Sub(now); got != wantNext || reads != wantReads {
			t.Errorf("next in %s after %d reads, want in %s after %d", got, reads, wantNext, wantReads)
		}
	}
	has := func(want string) {
		t.Helper()
		m := &corev1.ConfigMap{}
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "lines"}, m); err != nil {
			t.Fatal(err)
		}
		if m.Data["a"] != want {
			t.Errorf("%q, want %q", m.Data["a"], want)
		}
	}
	apply("1", time.Hour, 1)
	m := &corev1.ConfigMap{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "lines"}, m); err != nil {
		t.Fatal(err)
	}
	m.Data["a"] = "foreign"
	if err := api.Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	now = now.Add(20 * time.Minute)
	apply("1", 40*time.Minute, 0)
	has("foreign")
	now = now.Add(40 * time.Minute)
	apply("1", time.Hour, 1)
	has("1")
	apply("2", time.Hour, 1)
	has("2")
	now = now.Add(-2 * time.Hour) // the clock was set back
	apply("2", time.Hour, 1)
}

// A deletion applies to the object that was examined, not to one that has been created under its name since.
func TestDelete(t *testing.T) {
	a := &Applier{Client: api, Live: api}
	if err := a.For(listener).Delete(t.Context(), service("none", 22)); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
	wantApply(t, a, service("gone", 22), true)
	old := read(t, "gone")
	if err := a.For(listener).Delete(t.Context(), service("gone", 22)); err != nil {
		t.Fatal(err)
	}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "gone"}, &corev1.Service{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
	wantApply(t, a, service("gone", 22), true)

	stale := interceptor.NewClient(api, interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
			old.DeepCopyInto(o.(*corev1.Service))
			return nil
		},
	})
	if err := (&Applier{Client: stale, Live: api}).For(listener).Delete(t.Context(), service("gone", 22)); !apierrors.IsConflict(err) {
		t.Errorf("deleting a newer object: error %v, want a conflict", err)
	}
	if read(t, "gone").UID == old.UID {
		t.Error("it was not made again")
	}
}
