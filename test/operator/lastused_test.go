package operator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// uses are the days of the last login, by "user/<name> <fingerprint>" and "key/<name>".
type uses map[string]string

// usesOf returns the uses in an object's status.
func usesOf(o client.Object) uses {
	out := uses{}
	switch o := o.(type) {
	case *v1alpha1.SFTPUser:
		for _, k := range o.Status.Keys {
			if k.LastUsedDate != "" {
				out["user/"+o.Name+" "+k.Fingerprint] = k.LastUsedDate
			}
		}
	case *v1alpha1.SFTPKey:
		if o.Spec.Usage == v1alpha1.KeyUsageClient && o.Status.LastUsedDate != "" {
			out["key/"+o.Name] = o.Status.LastUsedDate
		}
	}
	return out
}

// ledger counts writes to SFTPUsers and SFTPKeys of a namespace.
type ledger struct {
	mu sync.Mutex
	// writes to objects, by kind.
	writes map[string]int
	// days of each key that were written, with the number of writes.
	days map[string]int
	// idle are writes that changed no day.
	idle []string
	now  map[string]uses
}

func watchUses(t *testing.T, ns string) *ledger {
	t.Helper()
	l := &ledger{writes: map[string]int{}, days: map[string]int{}, now: map[string]uses{}}
	for _, list := range []client.ObjectList{&v1alpha1.SFTPUserList{}, &v1alpha1.SFTPKeyList{}} {
		w, err := api.Watch(t.Context(), list, client.InNamespace(ns))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Stop)
		go func() {
			for e := range w.ResultChan() {
				if o, ok := e.Object.(client.Object); ok {
					l.note(e.Type, o)
				}
			}
		}()
	}
	return l
}

func (l *ledger) note(event watch.EventType, o client.Object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := fmt.Sprintf("%T %s", o, o.GetName())
	before, next := l.now[name], usesOf(o)
	l.now[name] = next
	if event != watch.Modified {
		return // the initial state
	}
	l.writes[fmt.Sprintf("%T", o)]++
	if maps.Equal(before, next) {
		l.idle = append(l.idle, name)
	}
	for k, d := range next {
		if before[k] != d {
			l.days[k+" "+d]++
		}
	}
}

// TestLastUsed: 1,000 logins with 100 keys over three days, on two pods whose processes are killed, one of which is drained and
// replaced, while the operator is restarted. At each stage every day is right, and none was written twice.
func TestLastUsed(t *testing.T) {
	const users, inline, logins = 20, 4, 200
	ns := namespace(t, nil)
	l := newListener(ns)
	create(t, l)
	onNode := func(name string) *corev1.Pod { // a deleted pod that is on a node does not disappear at once
		p := podWith(t, l, name, func(p *corev1.Pod) { p.Spec.NodeName = "node" })
		setReady(t, p, corev1.ConditionTrue)
		return p
	}
	running := []*corev1.Pod{onNode("a"), onNode("b")}
	waitFor(t, l, "Ready", "True", "Ready", "")

	type identity struct{ user, uid, sftpKey, fingerprint string }
	var identities []identity
	for i := range users {
		name := fmt.Sprintf("u%02d", i)
		k := partnerKey(ns, name+"-key", ns+name+"-key", assignedTo(name))
		create(t, k)
		u := newUser(ns, name)
		for n := range inline - 1 {
			u.Spec.Authentication.AuthorizedKeys = append(u.Spec.Authentication.AuthorizedKeys, publicKey(ns+name+strconv.Itoa(n)))
		}
		create(t, u)
		waitReady(t, u)
		waitFor(t, k, "Ready", "True", "Ready", "")
		waitFor(t, k, "Assigned", "True", "Assigned", "")
		eventually(t, func() error {
			if get(t, k, ns, k.Name); len(k.Status.Users) != 1 {
				return fmt.Errorf("SFTPKey %s has no user", k.Name)
			}
			return nil
		})
		get(t, u, ns, name)
		for _, s := range u.Status.Keys {
			id := identity{user: name, uid: string(u.UID), fingerprint: s.Fingerprint}
			if s.Source == "sftpkey/"+k.Name {
				id.sftpKey = k.Name
			}
			identities = append(identities, id)
		}
	}
	if len(identities) != users*(inline+1) {
		t.Fatalf("%d keys, want %d", len(identities), users*(inline+1))
	}

	written := watchUses(t, ns)
	want := uses{}
	used := map[string]bool{} // keys and days
	random := rand.New(rand.NewPCG(7, 2026))
	today := time.Now().UTC()
	login := func(daysAgo int) {
		for range logins {
			who, at := identities[random.IntN(len(identities))], today.AddDate(0, 0, -daysAgo)
			pods.logIn(running[random.IntN(len(running))], who.uid, who.fingerprint, at)
			day := at.Format(time.DateOnly)
			for _, name := range []string{"user/" + who.user + " " + who.fingerprint, "key/" + who.sftpKey} {
				if name != "key/" {
					want[name] = max(want[name], day)
					used[name+" "+day] = true
				}
			}
		}
	}
	n := 0
	wakeUp := func() { // the minute that the operator waits otherwise
		n++
		askPods(t, l, n)
	}
	settle := func() {
		t.Helper()
		eventually(t, func() error {
			got := uses{}
			for _, list := range []client.ObjectList{&v1alpha1.SFTPUserList{}, &v1alpha1.SFTPKeyList{}} {
				for _, o := range items(t, list, ns) {
					maps.Copy(got, usesOf(o))
				}
			}
			for name, day := range want {
				if got[name] != day {
					return fmt.Errorf("%s was last used on %q, want %s", name, got[name], day)
				}
			}
			if len(got) != len(want) {
				return fmt.Errorf("%d uses, want %d", len(got), len(want))
			}
			return nil
		})
	}

	login(2) // days ago
	wakeUp()
	settle()
	pods.restart(running[0]) // it has lost its state

	login(2)
	restartOperator(t, func() { login(1) }) // no operator asks in the meantime
	wakeUp()
	settle()

	pods.restart(running[1])
	login(1)
	// One is drained. The operator is not woken: it must ask in time on its own schedule.
	if err := api.Delete(t.Context(), running[1], client.GracePeriodSeconds(60)); err != nil {
		t.Fatal(err)
	}
	settle()
	if err := api.Delete(t.Context(), running[1], client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	running[1] = onNode("c")
	waitFor(t, l, "Ready", "True", "Ready", "")

	login(0)
	restartOperator(t, func() {})
	wakeUp()
	settle()
	written.check(t, used)
}

// check compares what was written with the keys and days that were used. A day is not written if a later one followed before
// the operator asked.
func (l *ledger) check(t *testing.T, used map[string]bool) {
	t.Helper()
	time.Sleep(time.Second) // time for events that are still in progress
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.idle) > 0 {
		t.Errorf("%d writes changed no day: %v", len(l.idle), l.idle)
	}
	for k, times := range l.days {
		if !used[k] || times > 1 {
			t.Errorf("%s was written %d times, used: %v", k, times, used[k])
		}
	}
	total := 0
	for _, n := range l.writes {
		total += n
	}
	if total > len(used) || total == 0 {
		t.Errorf("%d writes, want at most one for each of %d keys and days", total, len(used))
	}
	t.Logf("LASTUSED 1000 logins, %d keys and days used, %d written, in writes %v", len(used), len(l.days), l.writes)
}
