package operator

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// tenantA has logins on a listener that admits all namespaces, and removes their access.
type tenantA struct {
	listener *v1alpha1.SFTPListener
	ns       string
	// left are the logins that still have access; stays are those that keep it.
	left, stays []string
}

func newTenantA(t *testing.T, logins int) *tenantA {
	t.Helper()
	a := &tenantA{ns: namespace(t, nil)}
	a.listener = readyListener(t, namespace(t, nil), admitting(v1alpha1.NamespacesAll, nil), func(l *v1alpha1.SFTPListener) {
		l.Spec.MaxUsers = new(int32(10000))
	})
	for i := range logins {
		a.left = append(a.left, fmt.Sprintf("a-%03d", i))
		create(t, newUser(a.ns, a.left[i], of(a.listener)))
	}
	for i := range 5 {
		a.stays = append(a.stays, fmt.Sprintf("stays-%d", i))
		create(t, newUser(a.ns, a.stays[i], of(a.listener)))
	}
	within(t, time.Minute, func() error {
		if got := loadable(t, a.listener); len(got) < logins+len(a.stays) {
			return fmt.Errorf("pods would load %d logins", len(got))
		}
		return nil
	})
	for _, name := range a.stays {
		waitFor(t, newUser(a.ns, name, of(a.listener)), "Ready", "True", "Ready", "")
	}
	return a
}

// revoke deletes logins one after another, and returns for how long pods could still have loaded each.
func (a *tenantA) revoke(t *testing.T, n int, pause time.Duration) (took []time.Duration) {
	t.Helper()
	for range n {
		name := a.left[0]
		a.left = a.left[1:]
		begin := time.Now()
		remove(t, newUser(a.ns, name))
		for {
			if got := loadable(t, a.listener); got != nil && !got[name] {
				break
			}
			if time.Since(begin) > 30*time.Second {
				t.Fatalf("pods still have login %s after %s", name, time.Since(begin))
			}
			time.Sleep(2 * time.Millisecond)
		}
		took = append(took, time.Since(begin))
		time.Sleep(pause)
	}
	slices.Sort(took)
	return took
}

// conditions returns those of the logins that keep their access.
func (a *tenantA) conditions(t *testing.T) map[string][]metav1.Condition {
	t.Helper()
	out := map[string][]metav1.Condition{}
	for _, name := range a.stays {
		u := &v1alpha1.SFTPUser{}
		get(t, u, a.ns, name)
		out[name] = u.Status.Conditions
	}
	return out
}

func (a *tenantA) compare(t *testing.T, before map[string][]metav1.Condition) {
	t.Helper()
	for name, now := range a.conditions(t) {
		if !reflect.DeepEqual(now, before[name]) {
			t.Errorf("conditions of %s were\n\t%+v\nand are now\n\t%+v", name, before[name], now)
		}
	}
}

// quantile of sorted times.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(time.Millisecond)
}

// concurrently runs a function for the numbers below n, several at a time.
func concurrently(n, atOnce int, run func(int)) {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for i := range next {
				run(i)
			}
		})
	}
	wg.Wait()
}

// A password shared by 300 logins changes every second. Removing access from another tenant waits neither for the Secret nor
// for the hash.
func TestOneSecretChangesAgainAndAgain(t *testing.T) {
	const logins, samples = 300, 15
	a := newTenantA(t, 4*samples)
	b := namespace(t, nil)
	create(t, passwordSecret(b, "shared", "correct horse battery 0"))
	concurrently(logins, 8, func(i int) {
		if err := api.Create(t.Context(), newUser(b, fmt.Sprintf("b-%03d", i), of(a.listener), withoutKeys, withPassword("shared"))); err != nil {
			t.Error(err)
		}
	})
	within(t, time.Minute, func() error {
		if got := loadable(t, a.listener); len(got) < logins {
			return fmt.Errorf("pods would load %d logins", len(got))
		}
		return nil
	})
	waitFor(t, newUser(b, "b-299"), "Ready", "True", "Ready", "")
	time.Sleep(2 * time.Second)
	before := a.conditions(t)
	rest := a.revoke(t, samples, 200*time.Millisecond)

	ctx, cancel := context.WithCancel(t.Context())
	var changes atomic.Int32
	var wg sync.WaitGroup
	wg.Go(func() {
		for ; ctx.Err() == nil; changes.Add(1) {
			s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b, Name: "shared"}}
			patch := fmt.Appendf(nil, `{"stringData":{"password":"correct horse battery %d"}}`, changes.Load()+1)
			if err := api.Patch(ctx, s, client.RawPatch("application/merge-patch+json", patch)); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	})
	busy := a.revoke(t, samples, 300*time.Millisecond)
	for changes.Load() < 5 && len(a.left) > 1 { // a slow machine takes longer to change it
		busy = append(busy, a.revoke(t, 1, 300*time.Millisecond)...)
	}
	cancel()
	wg.Wait()
	slices.Sort(busy)
	a.compare(t, before)
	atRest, changing := quantile(rest, 0.5), quantile(busy, 0.5)
	t.Logf("AGAIN %d changes to a Secret of %d logins: a revocation of another tenant takes %s (median of %d; worst %s), at rest %s (worst %s)",
		changes.Load(), logins, changing, samples, quantile(busy, 1), atRest, quantile(rest, 1))
	if limit := time.Duration(2*slowness().Seconds()) * atRest; changing > limit {
		t.Errorf("a revocation takes %s, more than %s, at rest %s", changing, limit, atRest)
	}
	if changes.Load() < 5 {
		t.Errorf("the Secret changed only %d times", changes.Load())
	}
}

// An RSA pair takes seconds of CPU. Those of a tenant who wants many do not delay another tenant's host key.
func TestManyKeysOfOneTenant(t *testing.T) {
	const keys = 30
	b := namespace(t, nil)
	for i := range keys {
		create(t, &v1alpha1.SFTPKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: b, Name: fmt.Sprintf("rsa-%02d", i)},
			Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageHost, Algorithm: v1alpha1.KeyRSA4096},
		})
	}
	begin := time.Now()
	readyListener(t, namespace(t, nil))
	took := time.Since(begin)
	var made v1alpha1.SFTPKeyList
	if err := api.List(t.Context(), &made, client.InNamespace(b)); err != nil {
		t.Fatal(err)
	}
	waiting := 0
	for i := range made.Items {
		if c := meta.FindStatusCondition(made.Items[i].Status.Conditions, "Ready"); c != nil && c.Reason == v1alpha1.ReasonPending {
			waiting++
		}
	}
	t.Logf("KEYS a listener is ready %s after its creation, while another tenant waits for %d of %d RSA keys", took.Round(time.Millisecond), waiting, keys)
	if waiting < keys/2 {
		t.Errorf("only %d keys are waiting, so the test proves nothing", waiting)
	}
}
