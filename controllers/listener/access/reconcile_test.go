package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// The state of the informers is delivered, and the listener controller is notified once of each change and woken for nothing
// else.
func TestDeliver(t *testing.T) {
	r := newRig(t)
	r.running("p")
	r.hostKey()
	a := r.put("a", 1, 1)
	r.put("b", 1, 2)
	if wait := r.good(); wait != 0 {
		t.Errorf("again in %s", wait)
	}
	first := r.access()
	if r.logins() != "a b" || r.wakes() != 1 || len(first.Users) != 2 || first.Generation != 1 || first.Delivered.Version == nil ||
		!first.Delivered.Wrote || first.Blocked != nil || first.Err != nil {
		t.Errorf("logins %q, told %+v", r.logins(), first)
	}
	digest := first.Delivered.Version.Digest
	r.annotated("p", digest)
	r.asker.digest = digest
	asked := r.poll()
	if len(asked) != 1 || asked[0].keys[0] == "" || asked[0].known.User == nil || !asked[0].known.User("uid-a") || asked[0].known.HostKey("f2") || !asked[0].known.HostKey("f1") {
		t.Errorf("pods are asked %+v", asked)
	}
	r.secrets.Calls()
	if r.good(); len(r.secrets.Calls()) != 0 || r.wakes() != 0 || r.access().Users[0] != first.Users[0] {
		t.Error("nothing has changed, and it is written or told")
	}
	r.edit(a, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended })
	r.good()
	second := r.access()
	if r.logins() != "b" || r.wakes() != 1 || second.Users[0].Reason != v1alpha1.ReasonSuspended || second.Users[1] != first.Users[1] ||
		second.Delivered.Version == first.Delivered.Version {
		t.Errorf("logins %q, told %+v", r.logins(), second)
	}
	r.annotated("p", second.Delivered.Version.Digest)
	r.remove("b")
	if r.good(); r.logins() != "" || len(r.access().Users) != 1 {
		t.Errorf("logins %q", r.logins())
	}
	r.change(func(*v1alpha1.SFTPListener) {})
	r.wakes()
	if r.good(); r.access().Generation != 2 || r.wakes() != 1 {
		t.Errorf("a generation that changes nothing else: %d", r.access().Generation)
	}
}

// Which users may log in also changes with time, without any event.
func TestWhenToLookAgain(t *testing.T) {
	r := newRig(t)
	until := func(d time.Duration) func(*v1alpha1.SFTPUser) {
		return func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = new(metav1.NewTime(noon.Add(d))) }
	}
	a := r.edit(r.put("a", 1, 1), until(time.Hour))
	if wait := r.good(); wait != time.Hour || r.access().Blocked == nil || r.access().Blocked.Reason != v1alpha1.ReasonPending {
		t.Errorf("without a host key: again in %s, %+v", wait, r.access().Blocked)
	}
	if calls := r.secrets.Calls(); len(calls) != 0 {
		t.Errorf("without a host key: %v", calls)
	}
	r.hostKey()
	if wait := r.good(); wait != time.Hour || r.logins() != "a" || r.access().Blocked != nil {
		t.Errorf("again in %s", wait)
	}
	r.now = noon.Add(time.Hour)
	if wait := r.good(); wait != 0 || r.logins() != "" {
		t.Errorf("after the end: again in %s, logins %q", wait, r.logins())
	}
	// A refusal by the API server is retried without waiting for anything else that is due. An expired login is in the settings
	// with its reason, so both Secrets change.
	r.secrets.Fail = func(verb, name string) error {
		if verb == "apply" {
			return apierrors.NewForbidden(corev1.Resource("secrets"), name, errors.New("no"))
		}
		return nil
	}
	a = r.edit(a, until(90*time.Minute))
	for i, milliseconds := range []int64{200, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000} {
		want := time.Duration(milliseconds) * time.Millisecond
		wait := r.good()
		if wait != want || len(r.access().Delivered.Refusals) != 2 || r.logins() != "" {
			t.Fatalf("refused for the %d. time: again in %s, want %s, %+v", i+1, wait, want, r.access().Delivered)
		}
		r.now = r.now.Add(wait)
	}
	a = r.edit(a, func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = new(metav1.NewTime(r.now.Add(10 * time.Second))) })
	ends := r.now.Add(10 * time.Second)
	for range 6 { // 6.4 seconds in all, after which the next one would be as long
		r.now = r.now.Add(r.good())
	}
	if wait := r.good(); wait != ends.Sub(r.now) {
		t.Errorf("refused, and due before: again in %s, want %s", wait, ends.Sub(r.now))
	}
	r.now = r.now.Add(-time.Hour)
	if wait := r.good(); wait != 200*time.Millisecond {
		t.Errorf("refused, and the clock was set back: again in %s", wait)
	}
	// After an accepted write, the retries start over.
	fail := r.secrets.Fail
	r.secrets.Fail = nil
	if r.good(); r.logins() != "a" {
		t.Errorf("accepted: logins %q", r.logins())
	}
	r.secrets.Fail = fail
	r.edit(a, until(2*time.Hour))
	r.now = r.now.Add(time.Minute)
	r.edit(a, func(u *v1alpha1.SFTPUser) { u.Spec.Username = "b" })
	if wait := r.good(); wait != 200*time.Millisecond {
		t.Errorf("refused once more: again in %s", wait)
	}
}

// A removal that is refused once is retried at once, even if something else has been refused for hours.
func TestRemovalDuringALongRefusal(t *testing.T) {
	r := newRig(t)
	a := r.put("a", 1, 1)
	r.hostKey()
	r.good()
	r.secrets.Fail = func(verb, name string) error {
		if verb == "apply" {
			return apierrors.NewForbidden(corev1.Resource("secrets"), name, errors.New("quota"))
		}
		return nil
	}
	r.put("b", 1, 1)
	r.now = r.now.Add(time.Minute)
	wait := r.good()
	for range 12 {
		r.now = r.now.Add(wait)
		wait = r.good()
	}
	if wait != 30*time.Second {
		t.Fatalf("after minutes it is tried again after %s", wait)
	}
	r.Users.Observe(a, nil)
	if wait := r.good(); wait != firstRetry {
		t.Errorf("the removal is retried after %s, want %s", wait, firstRetry)
	}
}

// A change of a Secret by another client while it is being written is detected.
func TestForeignChangeMeanwhile(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	a := r.put("a", 1, 1)
	r.good()
	r.secrets.Watch = func(s *corev1.Secret) {
		s = s.DeepCopy()
		s.ResourceVersion = "1000000"
		r.Writer.News(r.name(), s)
	}
	r.edit(a, func(u *v1alpha1.SFTPUser) { u.Spec.Username = "b" })
	if wait := r.good(); wait != 100*time.Millisecond {
		t.Errorf("again in %s", wait)
	}
	r.secrets.Watch = nil
	if wait := r.good(); wait != 0 {
		t.Errorf("afterwards, again in %s", wait)
	}
}

// A listener that is deleted or terminating is forgotten, along with what is known of its users' Secrets. A recreated one
// starts from scratch.
func TestListenerIsGone(t *testing.T) {
	ref := credentials.Ref{Namespace: "team", Secret: "keys", Entry: "authorized_keys", Kind: credentials.KindKeys}
	remembered := func(r *rig) bool { // what is delivered counts only for what is still unknown
		r.Entries.Deliver(ref, credentials.Entry{Version: "delivered"})
		e, _ := r.Entries.Get(types.NamespacedName{Name: "other"}, ref)
		return e.Version != "delivered"
	}
	with := func() *rig {
		r := newRig(t)
		r.hostKey()
		r.stored("keys", ref.Entry, publicKey(7))
		r.edit(r.put("a", 1, 1), func(u *v1alpha1.SFTPUser) {
			u.Spec.Authentication.AuthorizedKeysSecretRefs = []v1alpha1.AuthorizedKeysSecretReference{{Name: "keys", Key: "authorized_keys"}}
		})
		r.good()
		r.secrets.Calls()
		return r
	}
	if r := with(); !remembered(r) || len(r.memories) != 1 {
		t.Error("nothing is remembered of a listener that stays")
	}
	r := with()
	r.remove("a")
	if r.good(); remembered(r) {
		t.Error("an entry is still remembered although nothing refers to it anymore")
	}
	for name, end := range map[string]func(*rig){
		"gone": func(r *rig) {
			if err := r.api.Delete(t.Context(), r.l); err != nil {
				t.Fatal(err)
			}
		},
		"going": func(r *rig) {
			r.change(func(l *v1alpha1.SFTPListener) { l.Finalizers = []string{"x/y"} })
			if err := r.api.Delete(t.Context(), r.l); err != nil {
				t.Fatal(err)
			}
		},
	} {
		r := with()
		end(r)
		if wait := r.good(); wait != 0 || len(r.secrets.Calls()) != 0 || len(r.memories) != 0 || remembered(r) {
			t.Errorf("%s: again in %s, %d memories", name, wait, len(r.memories))
		}
	}
	r = with()
	before := r.memory(r.name(), r.l.UID)
	if again := r.memory(r.name(), "other"); again == before || again.recalled != nil || again.uid != "other" || r.memory(r.name(), "other") != again {
		t.Errorf("a listener that was made again begins with %+v", again)
	}
}

// Errors are reported and retried, and earlier findings stay.
func TestErrors(t *testing.T) {
	down := errors.New("down")
	r := newRig(t)
	r.hostKey()
	r.put("a", 1, 1)
	r.calls.Get = func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return down
	}
	r.restart()
	if _, err := r.reconcile(); err == nil || err.Error() != "read listener: down" || len(r.secrets.Calls()) != 0 {
		t.Errorf("the listener cannot be read: %v", err)
	}
	r.calls.Get = nil
	r.restart()
	r.hostKey()
	r.secrets.Fail = func(string, string) error { return down }
	if _, err := r.reconcile(); !errors.Is(err, down) || !errors.Is(r.access().Err, down) || r.access().Blocked != nil || len(r.secrets.Calls()) != 0 {
		t.Errorf("what was delivered cannot be read: %v, told %+v", err, r.access())
	}
	r.secrets.Fail = func(verb, _ string) error {
		if verb == "apply" {
			return down
		}
		return nil
	}
	if _, err := r.reconcile(); !errors.Is(err, down) || r.access().Err != nil || !errors.Is(r.access().Delivered.Err, down) || len(r.access().Users) != 1 {
		t.Errorf("nothing can be written: %v, told %+v", err, r.access())
	}
	r.secrets.Fail = nil
	r.wakes()
	if r.good(); r.access().Delivered.Err != nil || r.logins() != "a" || r.wakes() != 1 {
		t.Errorf("told %+v", r.access().Delivered)
	}
	version := r.access().Delivered.Version
	r.Now = func() time.Time { panic("secret content") }
	_, err := r.reconcile()
	if a := r.access(); !errors.Is(err, errPanic) || !errors.Is(a.Err, errPanic) || strings.Contains(err.Error(), "content") ||
		len(a.Users) != 1 || a.Delivered.Version != version || r.wakes() != 1 {
		t.Errorf("after a panic: %v, told %+v", err, a)
	}
	if _, err := r.reconcile(); !errors.Is(err, errPanic) || r.wakes() != 0 {
		t.Errorf("the same again: %v, and it is news", err)
	}
	r.Now = func() time.Time { return noon }
	if r.good(); r.access().Err != nil || r.wakes() != 1 {
		t.Errorf("afterwards: %+v", r.access())
	}
}

// timed records the deadlines of calls.
type timed struct {
	client.Client
	mu            sync.Mutex
	gets, applies []time.Duration
}

func (c *timed) note(ctx context.Context, list *[]time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := ctx.Deadline(); ok {
		*list = append(*list, time.Until(at))
	} else {
		*list = append(*list, -1)
	}
}

func (c *timed) Get(ctx context.Context, name types.NamespacedName, o client.Object, opts ...client.GetOption) error {
	c.note(ctx, &c.gets)
	return c.Client.Get(ctx, name, o, opts...)
}

func (c *timed) Apply(ctx context.Context, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	c.note(ctx, &c.applies)
	return c.Client.Apply(ctx, o, opts...)
}

// A call that hangs delays the retry of a removal by a second at first; a slow API server gets more time with each try.
func TestDeadlines(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.put("a", 1, 1)
	c := &timed{Client: r.secrets}
	r.Live, r.Writer.Applier.Client = c, c
	fail := func(string, string) error { return errors.New("down") }
	r.secrets.Fail = fail
	if _, err := r.reconcile(); err == nil || len(c.gets) != 1 || c.gets[0] > 15*time.Second || c.gets[0] < 7*time.Second {
		t.Errorf("%v: what was delivered is read within %s", err, c.gets)
	}
	r.secrets.Fail = nil
	r.memory(r.name(), r.l.UID).failures = 0
	reset := false
	for i, seconds := range []int{1, 2, 4, 8, 16, 32, 32, 32, 1, 2} {
		want := time.Duration(seconds) * time.Second
		if seconds == 1 && i > 0 { // it succeeds once
			r.secrets.Fail = nil
			r.put("a", int64(i+100), 1)
			r.good()
			reset = true
		}
		r.secrets.Fail = func(verb, _ string) error {
			if verb == "apply" {
				return errors.New("down")
			}
			return nil
		}
		r.put("a", int64(i+2), i+2)
		c.applies = nil
		if _, err := r.reconcile(); err == nil || len(c.applies) == 0 {
			t.Fatalf("try %d: %v", i, err)
		}
		// Half of the time is for the settings.
		if got := c.applies[0]; got > want/2 || got < want/4 {
			t.Errorf("try %d, after a success %v: %s, want half of %s", i, reset, got, want)
		}
	}
}

// Pods of a paused listener are left alone, and get the changes once it is no longer paused.
func TestPaused(t *testing.T) {
	pause := func(value string) func(*v1alpha1.SFTPListener) {
		return func(l *v1alpha1.SFTPListener) { l.Annotations = map[string]string{v1alpha1.AnnotationPaused: value} }
	}
	r := newRig(t)
	r.running("p")
	r.hostKey()
	r.put("a", 1, 1)
	r.change(pause("true"))
	if wait := r.good(); wait != 0 || len(r.secrets.Calls()) != 0 || len(r.poll()) != 0 {
		t.Errorf("paused from the beginning: again in %s", wait)
	}
	r.change(pause("no"))
	r.good()
	r.asker.digest = r.access().Delivered.Version.Digest
	if r.logins() != "a" || len(r.poll()) != 1 {
		t.Error("it is not paused, and not delivered")
	}
	told, ok := r.Announcer.Poller.Result(r.name())
	if !ok || !told.Done() {
		t.Fatalf("the pods tell %+v, %v", told, ok)
	}
	r.change(pause("true"))
	r.put("b", 1, 2)
	r.secrets.Calls()
	r.now = r.now.Add(time.Hour)
	if r.good(); len(r.secrets.Calls()) != 0 || len(r.poll()) != 0 {
		t.Error("it is paused, and written, or pods are asked")
	}
	if still, ok := r.Announcer.Poller.Result(r.name()); !ok || still.Acknowledged != 1 {
		t.Errorf("what the pods have told: %+v, %v", still, ok)
	}
	r.remove("b") // so that there is nothing to write
	r.change(func(l *v1alpha1.SFTPListener) { l.Annotations = nil })
	if r.good(); len(r.secrets.Calls()) != 0 || len(r.poll()) != 1 {
		t.Error("it is not paused anymore, and pods are not asked")
	}
}

// Namespaces are admitted by their current labels.
func TestSelectedNamespaces(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.change(func(l *v1alpha1.SFTPListener) {
		l.Spec.AllowedUsers = v1alpha1.AllowedUsers{
			Usernames: v1alpha1.UsernamesAny,
			Rules: []v1alpha1.AllowedUsersRule{{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{
				From: v1alpha1.NamespacesSelector, Selector: &v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"sftp": "yes"}},
			}}},
		}
	})
	for _, ns := range []string{"one", "two"} {
		r.put("x", 1, 1)
		r.Users.Observe(nil, r.edit(r.put(ns, 1, 1), func(u *v1alpha1.SFTPUser) {
			u.Namespace, u.UID, u.Spec.ListenerRef.Namespace = ns, types.UID(ns), "team"
		}))
	}
	namespace := func(name, value string) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"sftp": value}}}
	}
	r.Namespaces.Observe(nil, namespace("one", "yes"))
	r.Namespaces.Observe(nil, namespace("two", "no"))
	if r.good(); r.logins() != "one" {
		t.Errorf("logins %q", r.logins())
	}
	r.Namespaces.Observe(namespace("two", "no"), namespace("two", "yes"))
	if r.good(); r.logins() != "one two" {
		t.Errorf("after a label: logins %q", r.logins())
	}
}

// Keys come from SFTPKeys in the user's own namespace.
func TestKeysOfNamespaces(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.change(func(l *v1alpha1.SFTPListener) {
		l.Spec.AllowedUsers = v1alpha1.AllowedUsers{
			Usernames: v1alpha1.UsernamesAny,
			Rules:     []v1alpha1.AllowedUsersRule{{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}}},
		}
	})
	for i, ns := range []string{"one", "two"} {
		u := r.put("u"+ns, 1)
		r.remove("u" + ns)
		r.edit(u, func(u *v1alpha1.SFTPUser) { u.Namespace, u.Spec.ListenerRef.Namespace = ns, "team" })
		r.Keys.Observe(nil, &v1alpha1.SFTPKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "k", Generation: 1},
			Spec: v1alpha1.SFTPKeySpec{
				Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyPublicKey, PublicKey: publicKey(i + 1), UserRef: &v1alpha1.LocalUserReference{Name: "u" + ns},
			},
		})
	}
	r.good()
	got := r.delivered()
	for i, name := range []string{"uone", "utwo"} {
		if keys := got[name].Keys; len(keys) != 1 || !strings.HasPrefix(publicKey(i+1), keys[0].PublicKey) {
			t.Errorf("%s: %+v", name, keys)
		}
	}
	keyrings := r.keyrings()
	if first := keyrings("one"); first == nil || keyrings("two") == first || keyrings("one") != first || keyrings("one") != first {
		t.Error("a keyring is not that of its namespace")
	}
}

// Errors in a listener's lists are reported; the warning that its crypto policy has expired is left to another controller.
func TestProblemsOfTheListener(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.change(func(l *v1alpha1.SFTPListener) {
		l.Spec.Authentication.TrustedUserCAs, l.Spec.AllowedCIDRs = []string{"nonsense"}, []string{"192.0.2.0/24"}
		l.Spec.CryptoPolicy, l.Spec.CryptoPolicyExpirationTime = v1alpha1.CryptoLegacy2026, new(metav1.NewTime(noon))
	})
	r.good()
	if b := r.access().Blocked; b != nil {
		t.Fatalf("blocked: %+v", b)
	}
	var got []string
	for _, p := range r.access().Problems {
		got = append(got, p.Reason)
		if !strings.Contains(p.Message, "trustedUserCAs[0]") {
			t.Errorf("%+v", p)
		}
	}
	if !slices.Equal(got, []string{v1alpha1.ReasonInvalidUserCA}) {
		t.Errorf("problems %v", got)
	}
	r.change(func(l *v1alpha1.SFTPListener) { l.Spec.AllowedCIDRs = []string{"nonsense"} })
	if r.good(); r.access().Blocked != nil || len(r.access().Problems) != 2 || r.logins() != "" {
		t.Errorf("settings that cannot be used: %+v", r.access())
	}
	if s := r.secrets.Secret("team", render.ConfigSecretName(r.l)); s == nil {
		t.Error("the settings that can be used are gone")
	}
}
