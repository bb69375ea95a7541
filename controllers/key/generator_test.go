package key

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// generatorOf runs a generator whose pairs take a second each, and returns the queue of woken keys.
func generatorOf(t *testing.T, generate func(string) error) (*generator, workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	t.Helper()
	m := newGenerator()
	m.generate = func(_ v1alpha1.KeyAlgorithm, comment string) (Material, error) {
		time.Sleep(time.Second)
		return Material{Private: []byte(comment)}, generate(comment)
	}
	woken := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(woken.ShutDown)
	if err := m.waker.Source().Start(t.Context(), woken); err != nil {
		t.Fatal(err)
	}
	return m, woken
}

func run(t *testing.T, m *generator) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- m.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func orderOf(namespace, name string) order {
	return order{key: types.NamespacedName{Namespace: namespace, Name: name}, uid: "1", secret: name, algorithm: v1alpha1.KeyRSA4096}
}

// wish requests a pair that does not exist yet.
func wish(t *testing.T, m *generator, o order) {
	t.Helper()
	if _, done, err := m.take(o); done || err != nil {
		t.Errorf("%v: %t, %v before it was ordered", o, done, err)
	}
}

// left is the number of pending requests.
func left(m *generator) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.orders)
}

func fine(string) error { return nil }

// A hundred requests of one namespace delay another one only until the current pair is finished.
func TestPairsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, woken := generatorOf(t, fine)
		for i := range 100 {
			wish(t, m, orderOf("b", strconv.Itoa(i)))
		}
		run(t, m)
		time.Sleep(500 * time.Millisecond)
		mine := orderOf("a", "mine")
		begin := time.Now()
		for _, done, _ := m.take(mine); !done; _, done, _ = m.take(mine) {
			request, _ := woken.Get()
			woken.Done(request)
		}
		if took := time.Since(begin); took != 1500*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		if pair, _, _ := m.take(mine); string(pair.Private) != "a/mine" {
			t.Errorf("the pair of %q", pair.Private)
		}
	})
}

// Pairs of deleted SFTPKeys are not made: creating and deleting keys in a loop costs others nothing.
func TestPairsOfDeletedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := map[string]int{}
		m, _ := generatorOf(t, func(comment string) error { made[comment]++; return nil })
		for i := range 100 {
			o := orderOf("b", "same")
			o.uid = types.UID(strconv.Itoa(i)) // deleted and recreated
			wish(t, m, o)
			wish(t, m, orderOf("b", strconv.Itoa(i)))
			m.forget(orderOf("b", strconv.Itoa(i)).key)
		}
		run(t, m)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(made) != 1 || made["b/same"] != 1 {
			t.Errorf("made: %v", made)
		}
		if _, done, _ := m.take(orderOf("b", "same")); done {
			t.Error("the pair of an SFTPKey that was deleted is given to another one of its name")
		}
		m.forget(orderOf("b", "same").key)
		if left(m) != 0 || m.queue.Len() > 1 {
			t.Errorf("left: %d orders, %d tasks", left(m), m.queue.Len())
		}
	})
}

// A failed pair is retried when it is requested again, and so is one that panicked.
func TestPairsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		wrong := errors.New("no entropy")
		m, woken := generatorOf(t, func(string) error {
			switch tries++; tries {
			case 1:
				return wrong
			case 2:
				panic("a secret")
			}
			return nil
		})
		run(t, m)
		o := orderOf("a", "mine")
		var got []error
		for range 3 {
			wish(t, m, o)
			request, _ := woken.Get()
			woken.Done(request)
			if request.NamespacedName != o.key {
				t.Errorf("woken %s", request)
			}
			_, done, err := m.take(o)
			if !done {
				t.Error("woken before it was done")
			}
			got = append(got, err)
		}
		if !errors.Is(got[0], wrong) || !errors.Is(got[1], errPanic) || got[2] != nil {
			t.Errorf("errors %v", got)
		}
	})
}

// An SFTPKey of type RSA waits for its first pair, and says so. While the next one is made, the current one stays in use, and a
// pair that could not be stored is not made twice.
func TestKeyWaitsForItsPair(t *testing.T) {
	const waits = "False Pending: A pair of RSA4096 is being generated, which takes seconds, and longer if others are queued"
	k := named()
	k.Spec.Algorithm = v1alpha1.KeyRSA4096
	r := newRig(t, k)
	made := make(chan bool, 10)
	r.generator.generate = func(_ v1alpha1.KeyAlgorithm, comment string) (Material, error) {
		made <- true
		return Generate(v1alpha1.KeyEd25519, comment)
	}
	k, after := r.settle(k)
	if got := ready(k); got != waits || after != 0 {
		t.Errorf("%s, again after %s", got, after)
	}
	run(t, r.generator)
	<-made
	refused := errors.New("no")
	r.fail = func(call string) error {
		if call == "create Secret acme" {
			return refused
		}
		return nil
	}
	eventually(t, func() bool { _, err := r.reconciled(k); return errors.Is(err, refused) })
	r.fail = nil
	if k, _ = r.settle(k); !conditionTrue(*summary(k)) || left(r.generator) != 0 {
		t.Errorf("%s, %d orders", ready(k), left(r.generator))
	}
	first := k.Status.Fingerprint
	r.wantNew(k)
	if k, after = r.settle(k); !conditionTrue(*summary(k)) || k.Status.Fingerprint != first || after != 0 {
		t.Errorf("%s with %s, again after %s", ready(k), k.Status.Fingerprint, after)
	}
	<-made
	eventually(t, func() bool { k, _ = r.settle(k); return k.Status.Revision == 2 })
	if k.Status.Fingerprint == first || len(k.Status.Retiring) != 1 || len(made) != 0 {
		t.Errorf("%+v, %d more pairs", k.Status, len(made))
	}
	// A deleted SFTPKey requests nothing.
	r.wantNew(k)
	r.settle(k)
	if err := r.all.Delete(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if _, err := r.reconciled(k); err != nil || left(r.generator) != 0 {
		t.Errorf("%v, %d orders", err, left(r.generator))
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("not within a minute")
		}
	}
}
