package entry

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/controllers/credentials"
)

func TestAnEntryIsReadInTheBackground(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.put("a", "k", "authorized_keys", oneKey)
		if e := w.get(keysRef("a", "k")); e.Known || e.Problem != nil || len(e.Keys) != 0 {
			t.Errorf("before it was read: %+v", e)
		}
		if e := w.settled(keysRef("a", "k"), time.Second); !e.Known || len(e.Keys) != 1 || e.Version != "uid-a-k/1" || e.Failure != "" {
			t.Errorf("%+v", e)
		}
		w.settled(keysRef("a", "k"), time.Hour)
		if w.readsOf("a", "k") != 1 || w.wakes(partners) != 1 {
			t.Errorf("%d reads and %d wakes, want one of each", w.readsOf("a", "k"), w.wakes(partners))
		}
	})
}

// 300 users who share a Secret cost one read and one hash, across all listeners.
func TestOneHashForAllUsersOfASecret(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.put("a", "p", "password", "hunter2")
		listeners := []types.NamespacedName{partners, {Namespace: "sftp", Name: "internal"}}
		for range 300 {
			for _, l := range listeners {
				w.Get(l, passwordRef("a", "p"))
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, l := range listeners {
			if e := w.of(l, passwordRef("a", "p")); e.Password == nil || e.Password.Hash != "hash 1" || e.PasswordLength != 7 || e.Password.Source != "uid-a-p/1/password" {
				t.Errorf("%+v", e)
			}
			if w.wakes(l) != 1 {
				t.Errorf("%s was woken %d times", l, w.wakes(l))
			}
		}
		if w.hashed() != 1 || w.readsOf("a", "p") != 1 {
			t.Errorf("%d hashes, %d reads", w.hashed(), w.readsOf("a", "p"))
		}
	})
}

// A namespace with 300 passwords that change every second delays another one by two hashes at most.
func TestHashingIsFairBetweenNamespaces(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		worst := time.Duration(0)
		for round := range 10 {
			for i := range 300 {
				name := fmt.Sprint("p", i)
				w.put("a", name, "password", fmt.Sprint("password ", i, round))
				w.get(passwordRef("a", name))
			}
			time.Sleep(7 * time.Millisecond)
			w.put("b", fmt.Sprint("mine", round), "password", "correct horse")
			begin := time.Now()
			for w.get(passwordRef("b", fmt.Sprint("mine", round))).Password == nil {
				if time.Sleep(time.Millisecond); time.Since(begin) > time.Minute {
					t.Fatal("never")
				}
			}
			worst = max(worst, time.Since(begin))
			time.Sleep(time.Second - time.Since(begin))
		}
		// The running hash, its own, and the loop's millisecond.
		if limit := 2*hashTime + 2*time.Millisecond; worst > limit {
			t.Errorf("waited up to %v, want at most %v", worst, limit)
		}
		if w.hashed() < 100 {
			t.Errorf("only %d hashes: there was no load", w.hashed())
		}
	})
}

// Reads that hang do not delay reads of other namespaces, and end at their deadline.
func TestAHangDelaysNoOther(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.fault(func(ctx context.Context, name types.NamespacedName) error {
			if name.Namespace != "a" {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		for i := range 100 {
			w.put("a", fmt.Sprint("k", i), "authorized_keys", oneKey)
			w.get(keysRef("a", fmt.Sprint("k", i)))
		}
		w.put("b", "k", "authorized_keys", oneKey)
		if e := w.settled(keysRef("b", "k"), time.Millisecond); len(e.Keys) != 1 {
			t.Errorf("another namespace waits: %+v", e)
		}
		if e := w.settled(keysRef("a", "k0"), readTimeout+time.Second); e.Failure != "the API server did not answer in time" {
			t.Errorf("%+v", e)
		}
	})
}

// While a Secret cannot be read, keys stay and a password is dropped; afterwards both are read, with growing intervals between
// tries.
func TestErrors(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.put("a", "k", "authorized_keys", oneKey)
		w.put("a", "p", "password", "hunter2")
		w.get(keysRef("a", "k"))
		w.settled(passwordRef("a", "p"), time.Second)
		w.fault(func(context.Context, types.NamespacedName) error { return errors.New("out of order") })
		w.put("a", "k", "authorized_keys", otherKey)
		w.put("a", "p", "password", "hunter3")
		if e := w.get(passwordRef("a", "p")); e.Password == nil || e.Password.Hash != "hash 1" {
			t.Errorf("at once: %+v", e)
		}
		if e := w.settled(passwordRef("a", "p"), confirmWithin-time.Millisecond); e.Password == nil || e.Failure == "" {
			t.Errorf("before the time is over: %+v", e)
		}
		wakes := w.wakes(partners)
		time.Sleep(time.Millisecond + collect)
		synctest.Wait()
		if w.wakes(partners) != wakes+1 {
			t.Error("the listener was not woken when the password went")
		}
		if e := w.get(passwordRef("a", "p")); e.Known || e.Password != nil || e.Failure == "" {
			t.Errorf("when the time is over: %+v", e)
		}
		if e := w.settled(keysRef("a", "k"), time.Hour); !e.Known || len(e.Keys) != 1 || e.Keys[0].Line() != oneKey || e.Failure != "the answer of the API server cannot be used" {
			t.Errorf("keys: %+v", e)
		}
		// 1 s after the first try, then 2, 4, 8, 16, 32 and 60.
		if n := w.readsOf("a", "k"); n < 60 || n > 70 {
			t.Errorf("%d reads in an hour", n)
		}
		w.fault(nil)
		time.Sleep(maxBackoff)
		synctest.Wait()
		if e := w.get(keysRef("a", "k")); e.Keys[0].Line() != otherKey || e.Failure != "" {
			t.Errorf("keys afterwards: %+v", e)
		}
		if e := w.get(passwordRef("a", "p")); e.Password == nil || e.Password.Hash != "hash 2" || e.Failure != "" {
			t.Errorf("the password afterwards: %+v", e)
		}
	})
}

// A change elsewhere in the Secret keeps the hash, and no session is lost because of it.
func TestAnEditOfALabelDropsNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.put("a", "p", "password", "hunter2")
		w.settled(passwordRef("a", "p"), time.Second)
		w.fault(func(context.Context, types.NamespacedName) error { time.Sleep(200 * time.Millisecond); return nil })
		w.put("a", "p", "password", "hunter2")
		for range 400 {
			if e := w.get(passwordRef("a", "p")); e.Password == nil || e.Password.Hash != "hash 1" {
				t.Fatalf("%+v", e)
			}
			time.Sleep(time.Millisecond)
		}
		if e := w.get(passwordRef("a", "p")); e.Password.Source != "uid-a-p/2/password" || w.hashed() != 1 {
			t.Errorf("%+v, %d hashes", e, w.hashed())
		}
	})
}

// A series of edits does not keep a password alive that has not been confirmed.
func TestEditsDoNotExtendTheTimeOfAPassword(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.put("a", "p", "password", "hunter2")
		w.settled(passwordRef("a", "p"), time.Second)
		w.fault(func(ctx context.Context, _ types.NamespacedName) error { <-ctx.Done(); return ctx.Err() })
		begin := time.Now()
		for time.Since(begin) < 2*confirmWithin {
			w.put("a", "p", "password", "hunter3")
			if e := w.get(passwordRef("a", "p")); (e.Password != nil) != (time.Since(begin) < confirmWithin) {
				t.Fatalf("after %v: %+v", time.Since(begin), e)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

// A deleted Secret counts as deleted at once, whatever an earlier read returns.
func TestDeletion(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.put("a", "p", "password", "hunter2")
		old := w.settled(passwordRef("a", "p"), time.Second).Password
		w.fault(func(context.Context, types.NamespacedName) error { time.Sleep(100 * time.Millisecond); return nil })
		w.put("a", "p", "password", "hunter3")
		w.get(passwordRef("a", "p"))
		time.Sleep(50 * time.Millisecond)
		w.mu.Lock()
		delete(w.cached, types.NamespacedName{Namespace: "a", Name: "p"})
		w.mu.Unlock()
		gone := func() {
			t.Helper()
			if e := w.get(passwordRef("a", "p")); !e.Known || e.Password != nil || e.Problem == nil || e.Problem.Reason != "SecretNotFound" || e.Version != "" {
				t.Errorf("%+v", e)
			}
		}
		gone()
		time.Sleep(time.Second)
		gone()
		// It comes back with the previous password.
		w.fault(nil)
		w.remove("a", "p")
		w.put("a", "p", "password", "hunter2")
		if e := w.get(passwordRef("a", "p")); e.Known || e.Problem != nil {
			t.Errorf("it is there again, and not read: %+v", e)
		}
		if e := w.settled(passwordRef("a", "p"), time.Second); e.Password == nil || e.Password.Hash != old.Hash {
			t.Errorf("%+v, want the hash of before", e)
		}
		// It is deleted on the server, but the cache does not know that yet.
		w.put("a", "p", "password", "hunter2")
		w.mu.Lock()
		delete(w.live, types.NamespacedName{Namespace: "a", Name: "p"})
		w.mu.Unlock()
		w.get(passwordRef("a", "p"))
		time.Sleep(time.Second)
		if e := w.get(passwordRef("a", "p")); e.Problem == nil || e.Problem.Reason != "SecretNotFound" {
			t.Errorf("%+v", e)
		}
	})
}

// A cache that lags behind what was read causes no further read, and drops nothing.
func TestACacheThatLagsBehind(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		name := types.NamespacedName{Namespace: "a", Name: "p"}
		w.put("a", "p", "password", "one")
		first := w.cached[name]
		w.put("a", "p", "password", "two")
		second := w.cached[name]
		w.put("a", "p", "password", "three")
		for i, cached := range []any{first, second, w.live[name]} {
			w.mu.Lock()
			w.cached[name] = w.live[name].DeepCopy()
			w.cached[name].ResourceVersion = []string{first.ResourceVersion, second.ResourceVersion, w.live[name].ResourceVersion}[i]
			w.mu.Unlock()
			if e := w.settled(passwordRef("a", "p"), time.Second); e.Password == nil || w.hashes[0] != "three" || w.readsOf("a", "p") != 1 || cached == nil {
				t.Errorf("%d: %+v, %d reads of %q", i, e, w.readsOf("a", "p"), w.hashes)
			}
		}
	})
}

// A Secret that changes constantly is read five times, and then once in ten seconds.
func TestPace(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for i := range 600 {
			w.put("a", "k", "authorized_keys", fmt.Sprintf("# %d\n%s", i, oneKey))
			w.get(keysRef("a", "k"))
			time.Sleep(100 * time.Millisecond)
		}
		if n := w.readsOf("a", "k"); n < 10 || n > 11 {
			t.Errorf("%d reads in a minute", n)
		}
		w.put("a", "k", "authorized_keys", otherKey)
		if e := w.settled(keysRef("a", "k"), refill); len(e.Keys) != 1 || e.Keys[0].Line() != otherKey {
			t.Errorf("the last change was not read: %+v", e)
		}
		time.Sleep(time.Hour)
		before := w.readsOf("a", "k")
		for range burst {
			w.put("a", "k", "authorized_keys", oneKey)
			w.settled(keysRef("a", "k"), 10*time.Millisecond)
		}
		if n := w.readsOf("a", "k") - before; n != burst {
			t.Errorf("%d reads of %d changes after a rest", n, burst)
		}
	})
}

// A panic affects only that reference.
func TestPanic(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.fault(func(_ context.Context, name types.NamespacedName) error {
			if name.Name == "bad" {
				panic("hunter2")
			}
			return nil
		})
		for i := range 20 {
			w.put("a", fmt.Sprint("k", i), "authorized_keys", oneKey)
			w.get(keysRef("a", fmt.Sprint("k", i)))
		}
		w.put("a", "bad", "password", "hunter2")
		if e := w.settled(passwordRef("a", "bad"), time.Minute); e.Known || e.Failure != "an internal error; the operator's log has the details" {
			t.Errorf("%+v", e)
		}
		for i := range 20 {
			if e := w.get(keysRef("a", fmt.Sprint("k", i))); len(e.Keys) != 1 {
				t.Errorf("another reference: %+v", e)
			}
		}
		w.fault(nil)
		w.hash = func([]byte) (string, error) { panic("hunter2") }
		w.put("a", "p", "password", "hunter2")
		if e := w.settled(passwordRef("a", "p"), time.Second); e.Known || e.Failure == "" {
			t.Errorf("a panic of the hash: %+v", e)
		}
	})
}

// References that no listener has anymore are dropped, including a read in progress.
func TestRetain(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		internal := types.NamespacedName{Namespace: "sftp", Name: "internal"}
		w.fault(func(context.Context, types.NamespacedName) error { time.Sleep(100 * time.Millisecond); return nil })
		for _, name := range []string{"x", "y", "z"} {
			w.put("a", name, "password", "hunter2")
			w.get(passwordRef("a", name))
		}
		w.Get(internal, passwordRef("a", "y"))
		w.Retain(partners, map[credentials.Ref]bool{passwordRef("a", "z"): true})
		time.Sleep(time.Second)
		synctest.Wait()
		if len(w.records) != 2 || w.records[passwordRef("a", "x")] != nil || w.hashed() != 2 {
			t.Errorf("%d records, %d hashes", len(w.records), w.hashed())
		}
		if e := w.of(internal, passwordRef("a", "y")); e.Password == nil {
			t.Errorf("another listener's: %+v", e)
		}
		w.Retain(partners, nil)
		w.Retain(internal, nil)
		if len(w.records) != 0 || len(w.refs) != 0 || w.waiting() != 0 {
			t.Errorf("left: %d records, %d listeners", len(w.records), len(w.refs))
		}
	})
}

// waiting is the number of queued tasks.
func (w *world) waiting() int { return w.Reader.reads.Len() + w.Reader.hashes.Len() }

func TestNamesThatNoSecretHas(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for _, name := range []string{"a/b", "..", "50%", ""} {
			if e := w.get(passwordRef("a", name)); !e.Known || e.Problem == nil || e.Problem.Reason != "SecretNotFound" {
				t.Errorf("%q: %+v", name, e)
			}
		}
		time.Sleep(time.Minute)
		if len(w.reads) != 0 || len(w.records) != 0 {
			t.Error("it was asked for")
		}
	})
}

// Many entries that are read one after the other wake their listener only a few times.
func TestWakesAreCollected(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.fault(func(context.Context, types.NamespacedName) error { time.Sleep(time.Millisecond); return nil })
		for i := range 300 {
			w.put("a", fmt.Sprint("k", i), "authorized_keys", oneKey)
			w.get(keysRef("a", fmt.Sprint("k", i)))
		}
		time.Sleep(time.Second)
		if n := w.wakes(partners); n < 1 || n > 10 {
			t.Errorf("woken %d times", n)
		}
	})
}
