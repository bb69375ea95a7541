package apply

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

var errDown = errors.New("down")

// failing returns a client whose calls fail according to a function, by verb, and counts its reads.
func failing(fail func(verb string, o any) error, reads *int) client.WithWatch {
	return interceptor.NewClient(api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			*reads++
			if err := fail("get", o); err != nil {
				return err
			}
			return c.Get(ctx, key, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := fail("patch", o); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if err := fail("apply", o); err != nil {
				return err
			}
			return c.Apply(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := fail("delete", o); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
	})
}

// only returns a function that fails for one verb.
func only(verb string, err error) func(string, any) error {
	return func(v string, _ any) error {
		if v == verb {
			return err
		}
		return nil
	}
}

func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("%s: error %v, want %s", what, err, want)
	}
}

// If something cannot be read or written, the error names it, and nothing is written on a guess.
func TestCallsThatFail(t *testing.T) {
	reads := 0
	h := func(cached, live func(string, any) error) Handle {
		return (&Applier{Client: failing(cached, &reads), Live: failing(live, &reads)}).For(listener)
	}
	good := only("", nil)
	gone := only("get", apierrors.NewNotFound(corev1.Resource("x"), "x"))
	_, err := h(only("get", errDown), good).Apply(t.Context(), service("fails", 22))
	wantError(t, "the cache", err, "read Service default/fails: down")
	_, err = h(gone, only("get", errDown)).Apply(t.Context(), service("fails", 22))
	wantError(t, "the API server", err, "read Service default/fails: down")
	done, err := h(good, good).Apply(t.Context(), service("fails", 22))
	if err != nil || !done.Wrote || done.Live == nil || done.Live.GetUID() == "" || len(done.Live.(*corev1.Service).Spec.Ports) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	_, err = h(only("get", errDown), good).ApplyKept(t.Context(), claim("fails", own))
	wantError(t, "a claim", err, "read PersistentVolumeClaim default/fails: down")
	if _, err = h(only("apply", errDown), good).ApplyUnwatched(t.Context(), lines("fails"), time.Hour); err == nil {
		t.Error("an object without a cache is not written, and no error")
	}
	if err := h(only("get", errDown), good).Delete(t.Context(), service("fails", 22)); !errors.Is(err, errDown) {
		t.Errorf("deleting an unreadable object: %v", err)
	}
	if err := h(only("delete", errDown), good).Delete(t.Context(), service("fails", 22)); !errors.Is(err, errDown) {
		t.Errorf("deleting what cannot be deleted: %v", err)
	}
	if err := h(only("delete", apierrors.NewNotFound(corev1.Resource("x"), "x")), good).Delete(t.Context(), service("fails", 22)); err != nil {
		t.Errorf("deleting an object that is already gone: %v", err)
	}
	// Only the API server knows whether the operator created what a former listener left
	// behind.
	orphan(t, service("fails", 22))
	_, err = h(good, only("get", errDown)).Apply(t.Context(), service("fails", 22))
	wantError(t, "an orphan", err, "read Service/default/fails: down")
	if err := h(good, only("get", errDown)).Delete(t.Context(), service("fails", 22)); !errors.Is(err, errDown) {
		t.Errorf("deleting an orphan: %v", err)
	}
	if _, err = h(good, gone).Apply(t.Context(), service("fails", 22)); !apierrors.IsConflict(err) {
		t.Errorf("an orphan that is already gone: %v", err)
	}
	if err := h(good, good).Delete(t.Context(), service("fails", 22)); err != nil {
		t.Error(err)
	}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "fails"}, &corev1.Service{}); !apierrors.IsNotFound(err) {
		t.Errorf("an object left by a former listener still exists: %v", err)
	}
}

// An orphan that was replaced in the meantime is checked again, and not judged by the fields of its predecessor.
func TestOrphanIsReplacedMeanwhile(t *testing.T) {
	wantApply(t, &Applier{Client: api, Live: api}, service("replaced", 22), true)
	old := orphan(t, service("replaced", 22))
	if err := api.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	foreign := service("replaced", 22)
	create(t, foreign)
	stale := interceptor.NewClient(api, interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
			old.DeepCopyInto(o.(*corev1.Service))
			return nil
		},
	})
	if _, err := (&Applier{Client: stale, Live: api}).For(listener).Apply(t.Context(), service("replaced", 22)); !apierrors.IsConflict(err) {
		t.Errorf("%v", err)
	}
}

func lines(text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "edge-lines", Labels: own}, Data: map[string]string{"a": text}}
}

// An object that another owner controls, or of an unknown kind, is not applied at all.
func TestObjectsThatCannotBeApplied(t *testing.T) {
	h := (&Applier{Client: api, Live: api}).For(listener)
	taken := service("taken", 22)
	taken.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "1", Controller: new(true)}}
	unknown := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "unknown"}}
	for name, o := range map[string]client.Object{"taken": taken, "unknown": unknown} {
		if done, err := h.Apply(t.Context(), o); err == nil || done.Wrote {
			t.Errorf("%s is applied", name)
		}
		if _, err := h.ApplyUnwatched(t.Context(), o, time.Hour); err == nil {
			t.Errorf("%s is applied without a cache", name)
		}
	}
	if _, err := h.ApplyKept(t.Context(), unknown); err == nil {
		t.Error("what is unknown is kept")
	}
	if err := h.Delete(t.Context(), unknown); err == nil {
		t.Error("what is unknown is deleted")
	}
	if err := h.Check(t.Context(), unknown); err == nil {
		t.Error("what is unknown may be applied")
	}
}

// If a claim's owner reference cannot be removed, that is an error, because the claim would be deleted with the listener. A
// foreign change is not undone either.
func TestOwnerOfAKeptObjectStays(t *testing.T) {
	owned := claim("stuck", own)
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "partners", UID: listener.UID}}
	create(t, owned)
	reads := 0
	_, err := (&Applier{Client: failing(only("patch", errDown), &reads), Live: api}).For(listener).ApplyKept(t.Context(), claim("stuck", own))
	wantError(t, "the owner", err, "remove the owner of stuck: down")
	meanwhile := func(verb string, _ any) error {
		if verb == "patch" {
			c := &corev1.PersistentVolumeClaim{}
			if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "stuck"}, c); err != nil {
				return err
			}
			c.OwnerReferences = append(c.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "new", UID: "9"})
			return api.Update(t.Context(), c)
		}
		return nil
	}
	if _, err := (&Applier{Client: failing(meanwhile, &reads), Live: api}).For(listener).ApplyKept(t.Context(), claim("stuck", own)); !apierrors.IsConflict(err) {
		t.Errorf("an owner that was added meanwhile is lost: %v", err)
	}
	// A Secret is not compared, because its content is not in a cache.
	if done, err := (&Applier{Client: metadata{api}, Live: api}).For(listener).ApplyKept(t.Context(), secret("kept-secret", "1")); err != nil || !done.Wrote || done.Live != nil {
		t.Errorf("%+v, %v", done, err)
	}
}

// The object returned afterwards: the API server's answer, or what the cache has; nothing for a Secret.
func TestApplied(t *testing.T) {
	a := &Applier{Client: metadata{api}, Live: api}
	for i, wrote := range []bool{true, false} {
		done, err := a.For(listener).Apply(t.Context(), service("shown", 22))
		s, ok := done.Live.(*corev1.Service)
		if err != nil || done.Wrote != wrote || !ok || s.Spec.Ports[0].Port != 22 || s.UID == "" || s.ResourceVersion != read(t, "shown").ResourceVersion {
			t.Errorf("time %d: %+v, %v", i, done, err)
		}
		if done, err := a.For(listener).Apply(t.Context(), secret("shown", "1")); err != nil || done.Wrote != wrote || done.Live != nil {
			t.Errorf("time %d: %+v, %v", i, done, err)
		}
	}
}

// Contents of Secrets are read only after a restart, and only if the annotation indicates that they may be as wanted.
func TestReadsOfSecrets(t *testing.T) {
	reads := 0
	live := failing(only("", nil), &reads)
	wantReads := func(what string, a *Applier, o client.Object, wrote bool, want int) {
		t.Helper()
		reads = 0
		if wantApply(t, a, o, wrote); reads != want {
			t.Errorf("%s: %d reads past the cache, want %d", what, reads, want)
		}
	}
	a := &Applier{Client: metadata{api}, Live: live}
	wantReads("a new one", a, secret("reads", "1"), true, 1)
	wantReads("the same", a, secret("reads", "1"), false, 0)
	wantReads("a change", a, secret("reads", "2"), true, 0)
	changed := &corev1.Secret{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "reads"}, changed); err != nil {
		t.Fatal(err)
	}
	changed.Labels["x"] = "y"
	update(t, changed)
	wantReads("changed by someone: one write, instead of a read and often a write", a, secret("reads", "2"), true, 0)
	a = &Applier{Client: metadata{api}, Live: live}
	wantReads("after a restart", a, secret("reads", "2"), false, 1)
	wantReads("after a restart, the second time", a, secret("reads", "2"), false, 0)
	wantReads("after a restart, another one is wanted", &Applier{Client: metadata{api}, Live: live}, secret("reads", "3"), true, 0)
	// The object may have been deleted, or may be unavailable, when it is read.
	gone := &Applier{Client: metadata{api}, Live: failing(only("get", apierrors.NewNotFound(corev1.Resource("secrets"), "reads")), &reads)}
	wantApply(t, gone, secret("reads", "3"), true)
	down := &Applier{Client: metadata{api}, Live: failing(only("get", errDown), &reads)}
	if done, err := down.For(listener).Apply(t.Context(), secret("reads", "3")); !errors.Is(err, errDown) || done.Wrote {
		t.Errorf("%+v, %v", done, err)
	}
}

// If an adopted object has immutable fields that differ, the message says what to do.
func TestRefusalOfAnImmutableField(t *testing.T) {
	refused := apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "fixed",
		field.ErrorList{field.Invalid(field.NewPath("type"), "x", "field is immutable")})
	reads := 0
	a := &Applier{Client: failing(only("apply", refused), &reads), Live: api}
	s := secret("fixed", "1")
	s.Type = "a/b"
	done, err := a.For(listener).Apply(t.Context(), s)
	wantError(t, "a Secret of another type", err, `Secret "fixed" in namespace "default" is not of the type a/b, and the type of a Secret cannot be changed; `+
		`delete it, and the operator recreates it`)
	if done.Wrote {
		t.Error("it counts as written")
	}
}

// An extra owner would have the object deleted along with it; this is detected after a restart.
func TestOwnersAfterARestart(t *testing.T) {
	wantApply(t, &Applier{Client: api, Live: api}, service("owners", 22), true)
	s := read(t, "owners")
	s.OwnerReferences = append(s.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "7"})
	update(t, s)
	wantApply(t, &Applier{Client: api, Live: api}, service("owners", 22), true)
}

// After a deletion, no record of the object is kept, even if a cache still has it.
func TestApplyAfterADeletion(t *testing.T) {
	var old *corev1.Service
	cached := interceptor.NewClient(api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if s, ok := o.(*corev1.Service); ok && old != nil {
				old.DeepCopyInto(s)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	a := &Applier{Client: cached, Live: api}
	wantApply(t, a, service("deleted", 22), true)
	wantApply(t, a, service("beside", 22), true)
	was := read(t, "deleted")
	if !a.Wrote("Service", was) || !a.Knows("Service", was) {
		t.Fatal("its own write is not known")
	}
	if err := a.For(listener).Delete(t.Context(), service("deleted", 22)); err != nil {
		t.Fatal(err)
	}
	if a.Wrote("Service", was) || !a.Wrote("Service", read(t, "beside")) {
		t.Error("after a deletion it is remembered, or another object is not")
	}
}

// An event is ignored if it shows what was written, or what was there before that.
func TestKnows(t *testing.T) {
	a := &Applier{}
	o := func(name string, uid types.UID, version, label string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: uid, ResourceVersion: version, Labels: map[string]string{v1alpha1.LabelListener: label},
		}}
	}
	a.remember(listener, "Service/default/s", memo{uid: "u", version: "100"})
	for name, tc := range map[string]struct {
		o            *corev1.Service
		kind         string
		wrote, knows bool
	}{
		"the same":             {o("s", "u", "100", "partners"), "Service", true, true},
		"older":                {o("s", "u", "99", "partners"), "Service", false, true},
		"newer":                {o("s", "u", "101", "partners"), "Service", false, false},
		"another object":       {o("s", "v", "100", "partners"), "Service", false, false},
		"another, and older":   {o("s", "v", "99", "partners"), "Service", false, false},
		"another name":         {o("x", "u", "100", "partners"), "Service", false, false},
		"another kind":         {o("s", "u", "100", "partners"), "Secret", false, false},
		"another listener's":   {o("s", "u", "100", "other"), "Service", false, false},
		"cannot be compared":   {o("s", "u", "x", "partners"), "Service", false, false},
		"no one's, no version": {o("s", "", "", ""), "Service", false, false},
	} {
		if wrote, knows := a.Wrote(tc.kind, tc.o), a.Knows(tc.kind, tc.o); wrote != tc.wrote || knows != tc.knows {
			t.Errorf("%s: wrote %v, knows %v", name, wrote, knows)
		}
	}
}

// The time of the last read of an object without a cache is kept across other writes, and a forgotten listener stays forgotten.
func TestLooked(t *testing.T) {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	a := &Applier{}
	a.remember(listener, "id", memo{sum: "1"})
	a.checked(listener, "id", at)
	a.remember(listener, "id", memo{sum: "2"})
	if m, ok := a.recall(listener, "id"); !ok || m.sum != "2" || !m.checked.Equal(at) {
		t.Errorf("%+v, %v", m, ok)
	}
	a.checked(listener, "id", at.Add(time.Hour))
	if m, _ := a.recall(listener, "id"); !m.checked.Equal(at.Add(time.Hour)) {
		t.Errorf("%+v", m)
	}
	a.Forget(client.ObjectKeyFromObject(listener))
	a.checked(listener, "id", at)
	if _, ok := a.recall(listener, "id"); ok {
		t.Error("a forgotten listener is back")
	}
	a.forget(listener, "id") // nothing is there
	if now := (&Applier{}).now(); time.Since(now).Abs() > time.Minute {
		t.Errorf("the clock of the machine says %s", now)
	}
}

// made is a Reader that returns an object with these managedFields.
type made []metav1.ManagedFieldsEntry

func (f made) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	o.SetUID("u")
	o.SetManagedFields(f)
	return nil
}

func (made) List(context.Context, client.ObjectList, ...client.ListOption) error { return errDown }

// Only an object that the operator has applied counts as created by it: not one that it has updated, whose status it wrote, or
// that others have applied.
func TestMadeHere(t *testing.T) {
	field := func(manager string, operation metav1.ManagedFieldsOperationType, subresource string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, Subresource: subresource}
	}
	others := []metav1.ManagedFieldsEntry{
		field("kubectl", metav1.ManagedFieldsOperationApply, ""), field(FieldOwner, metav1.ManagedFieldsOperationUpdate, ""),
		field(FieldOwner, metav1.ManagedFieldsOperationApply, "status"),
	}
	live := service("s", 22)
	live.UID = "u"
	in, err := newIntent(live, clientgoscheme.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		fields made
		want   bool
	}{
		"nobody's": {nil, false},
		"others'":  {others, false},
		"its own":  {append(made(others), field(FieldOwner, metav1.ManagedFieldsOperationApply, "")), true},
	} {
		if got, err := (&Applier{Live: tc.fields}).madeHere(t.Context(), in, live); got != tc.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// One owner reference is removed, and all others stay.
func TestDisowned(t *testing.T) {
	refs := []metav1.OwnerReference{{UID: "a"}, {UID: "b"}, {UID: "c"}}
	for uid, want := range map[types.UID]string{"a": "bc", "b": "ac", "c": "ab", "d": "abc"} {
		var got strings.Builder
		for _, r := range disowned(refs, uid) {
			got.WriteString(string(r.UID))
		}
		if got.String() != want {
			t.Errorf("without %s: %s", uid, got.String())
		}
	}
}
