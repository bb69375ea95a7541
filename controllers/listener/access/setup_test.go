package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/wake"
)

// indexer records the indexes for an in-memory client.
type indexer struct {
	*fake.ClientBuilder
	indexed int
	fail    int // this one fails, counting from 1
}

// IndexField implements client.FieldIndexer.
func (i *indexer) IndexField(_ context.Context, o client.Object, field string, f client.IndexerFunc) error {
	if i.indexed++; i.indexed == i.fail {
		return errors.New("no index")
	}
	if names := f(&corev1.Pod{}); names != nil {
		return fmt.Errorf("a pod refers to %v", names)
	}
	i.WithIndex(o, field, f)
	return nil
}

// indexed gives the reconciler a client with its indexes and these objects.
func (r *rig) indexed(objects ...client.Object) {
	r.t.Helper()
	builder := &indexer{ClientBuilder: fake.NewClientBuilder().WithScheme(r.secrets.Scheme())}
	if err := r.index(r.t.Context(), builder); err != nil {
		r.t.Fatal(err)
	}
	r.api = builder.WithObjects(objects...).Build()
	r.restart()
}

func TestIndexesAreNeeded(t *testing.T) {
	for n := 1; n <= 2; n++ {
		r := newRig(t)
		if err := r.index(t.Context(), &indexer{ClientBuilder: fake.NewClientBuilder().WithScheme(r.secrets.Scheme()), fail: n}); err == nil {
			t.Errorf("without index %d", n)
		}
	}
}

// A change to a Secret wakes the listeners that refer to it, those whose users do, and the one that it is a part of.
func TestWhomASecretConcerns(t *testing.T) {
	user := func(namespace, name, listener string, auth v1alpha1.UserAuthentication) *v1alpha1.SFTPUser {
		return &v1alpha1.SFTPUser{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       v1alpha1.SFTPUserSpec{ListenerRef: v1alpha1.ListenerReference{Name: listener}, Authentication: auth},
		}
	}
	keys := v1alpha1.UserAuthentication{AuthorizedKeysSecretRefs: []v1alpha1.AuthorizedKeysSecretReference{{Name: "keys", Key: "k"}, {Name: "more", Key: "k"}}}
	file := []v1alpha1.SecretFileReference{{Name: "list", Key: "e"}}
	listener := func(namespace, name string, change func(*v1alpha1.SFTPListener)) *v1alpha1.SFTPListener {
		l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		change(l)
		return l
	}
	elsewhere := user("team", "elsewhere", "far", v1alpha1.UserAuthentication{TOTPSecretRef: &v1alpha1.TOTPSecretReference{Name: "app"}})
	elsewhere.Spec.ListenerRef.Namespace = "away"
	r := newRig(t)
	r.indexed(
		user("team", "a", "one", keys), user("team", "b", "one", keys), user("team", "c", "two", keys), user("other", "d", "three", keys),
		user("team", "e", "two", v1alpha1.UserAuthentication{PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: "pw"}}), elsewhere,
		listener("team", "revokes", func(l *v1alpha1.SFTPListener) { l.Spec.RevokedKeysSecretRefs = file }),
		listener("team", "trusts", func(l *v1alpha1.SFTPListener) { l.Spec.Authentication.TrustedUserCAsSecretRefs = file }),
		listener("other", "trusts", func(l *v1alpha1.SFTPListener) { l.Spec.Authentication.TrustedUserCAsSecretRefs = file }),
	)
	secret := func(name, version, label string) *metav1.PartialObjectMetadata {
		o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, ResourceVersion: version, UID: types.UID("s-" + name)}}
		if label != "" {
			o.Labels = map[string]string{v1alpha1.LabelListener: label}
		}
		return o
	}
	var none client.Object
	for what, tc := range map[string]struct {
		before, after client.Object
		want          []string
	}{
		"keys of users":        {secret("keys", "1", ""), secret("keys", "2", ""), []string{"team/one", "team/two"}},
		"other keys":           {none, secret("more", "2", ""), []string{"team/one", "team/two"}},
		"a resync":             {secret("keys", "1", "one"), secret("keys", "1", "one"), nil},
		"deleted":              {secret("keys", "1", ""), none, []string{"team/one", "team/two"}},
		"a password":           {none, secret("pw", "1", ""), []string{"team/two"}},
		"an app":               {none, secret("app", "1", ""), []string{"away/far"}},
		"a list of a listener": {none, secret("list", "1", ""), []string{"team/revokes", "team/trusts"}},
		"nobody's":             {none, secret("x", "1", ""), nil},
		"a part":               {none, secret("x", "1", "mine"), []string{"team/mine"}},
		"a part, deleted":      {secret("x", "1", "mine"), none, []string{"team/mine"}},
	} {
		var before, after client.Object
		if tc.before != nil {
			before = tc.before
		}
		if tc.after != nil {
			after = tc.after
		}
		var got []string
		for _, name := range r.secretChanged(before, after) {
			got = append(got, name.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
	}
}

// The operator's own writes are ignored; the deletion of what it wrote is not.
func TestOwnWritesAreNoNews(t *testing.T) {
	r := newRig(t)
	r.indexed(r.l)
	r.hostKey()
	r.put("a", 1, 1)
	var written []*corev1.Secret
	r.secrets.Watch = func(s *corev1.Secret) { written = append(written, s.DeepCopy()) }
	r.good()
	if len(written) < 2 {
		t.Fatalf("%d Secrets are written", len(written))
	}
	for _, s := range written {
		if got := r.secretChanged(nil, s); len(got) != 0 {
			t.Errorf("%s concerns %v", s.Name, got)
		}
		if got := r.secretChanged(s, nil); len(got) != 1 || got[0] != r.name() {
			t.Errorf("without %s: %v", s.Name, got)
		}
		foreign := s.DeepCopy()
		foreign.ResourceVersion = "1000"
		if got := r.secretChanged(s, foreign); len(got) != 1 || got[0] != r.name() {
			t.Errorf("%s, changed by someone: %v", s.Name, got)
		}
	}
}

// A failing list does not prevent the others.
func TestListsOfASecretFail(t *testing.T) {
	r := newRig(t)
	r.indexed(&v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "revokes"},
		Spec:       v1alpha1.SFTPListenerSpec{RevokedKeysSecretRefs: []v1alpha1.SecretFileReference{{Name: "s", Key: "e"}}},
	}, &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "u"},
		Spec: v1alpha1.SFTPUserSpec{
			ListenerRef:    v1alpha1.ListenerReference{Name: "one"},
			Authentication: v1alpha1.UserAuthentication{PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: "s"}},
		},
	})
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "s", ResourceVersion: "1"}}
	for failing, want := range map[string]string{"*v1alpha1.SFTPUserList": "[team/revokes]", "*v1alpha1.SFTPListenerList": "[team/one]", "": "[team/one team/revokes]"} {
		r.calls.List = func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if fmt.Sprintf("%T", list) == failing {
				return errors.New("down")
			}
			return c.List(ctx, list, opts...)
		}
		r.restart()
		if got := fmt.Sprint(r.secretChanged(nil, secret)); got != want {
			t.Errorf("without %q: %s, want %s", failing, got, want)
		}
	}
}

// The controller reconciles a listener for everything it depends on.
func TestWatches(t *testing.T) {
	r := newRig(t)
	r.indexed(r.l)
	r.hostKey()
	informers := &informers{FakeInformers: informertest.FakeInformers{Scheme: r.secrets.Scheme()}}
	mgr, err := ctrl.NewManager(&rest.Config{Host: "https://192.0.2.1"}, ctrl.Options{
		Scheme: r.secrets.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		NewCache:       func(*rest.Config, cache.Options) (cache.Cache, error) { return informers, nil },
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return r.api.RESTMapper(), nil },
		NewClient:      func(*rest.Config, client.Options) (client.Client, error) { return r.Client, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	waker := &wake.Waker{}
	if err := r.Setup(t.Context(), mgr, controller.Options{MaxConcurrentReconciles: 2, SkipNameValidation: new(true)}, waker); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	w := &watched{t: t, rig: r, informers: informers}
	w.listenersAndUsers(w.begin(waker))
	w.keysAndNamespaces()
	w.secretsAndWakes(waker)
}

// watched is a rig with a running controller.
type watched struct {
	*rig
	t         *testing.T
	informers *informers
}

// informers are kept by kind, so that metadata informers have their own.
type informers struct {
	mu sync.Mutex
	informertest.FakeInformers
}

// GetInformer implements cache.Cache.
func (i *informers) GetInformer(ctx context.Context, o client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	kind, err := apiutil.GVKForObject(o, i.Scheme)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.GetInformerForKind(ctx, kind, opts...)
}

// event has an object's informer report it as new, changed or deleted.
func (w *watched) event(before, after client.Object) {
	w.t.Helper()
	o := after
	if o == nil {
		o = before
	}
	informer, err := w.informers.GetInformer(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	i := informer.(*controllertest.FakeInformer)
	switch {
	case before == nil:
		i.Add(after.(metav1.Object))
	case after == nil:
		i.Delete(before.(metav1.Object))
	default:
		i.Update(before.(metav1.Object), after.(metav1.Object))
	}
}

// eventually waits until the pods have these logins.
func (w *watched) eventually(what, logins string) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); w.logins() != logins; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: logins %q, want %q", what, w.logins(), logins)
		}
	}
}

func metadata(kind, namespace, name, version string, labels map[string]string) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: version, Labels: labels}}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return o
}

// made returns a user without adding it to the tables.
func (w *watched) made(namespace, name string, keys ...int) *v1alpha1.SFTPUser {
	u := w.put(name, 1, keys...)
	w.remove(name)
	u.Namespace, u.Spec.ListenerRef.Namespace = namespace, "team"
	return u
}

// begin waits until the controller has started; in-memory informers must not have events before that.
func (w *watched) begin(waker *wake.Waker) *v1alpha1.SFTPUser {
	silent := w.put("silent", 1, 1)
	for deadline := time.Now().Add(time.Minute); w.logins() == "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		waker.Wake(w.name())
	}
	w.eventually("a wake", "silent")
	return silent
}

func (w *watched) listenersAndUsers(silent *v1alpha1.SFTPUser) {
	w.Users.Observe(silent, nil)
	w.event(nil, w.l)
	w.eventually("a listener", "")
	silent = w.put("silent", 1, 1)
	annotated := w.l.DeepCopy()
	annotated.Annotations = map[string]string{"a": "b"}
	w.event(w.l, annotated)
	w.eventually("an annotation of a listener", "silent")
	w.Users.Observe(silent, nil)
	spec := annotated.DeepCopy()
	spec.Generation++
	w.event(annotated, spec)
	w.eventually("a generation of a listener", "")
	// Status changes by others do not trigger compiling.
	silent = w.put("silent", 1, 1)
	status := spec.DeepCopy()
	status.ResourceVersion, status.Status.ObservedGeneration = "other", 1
	w.event(spec, status)
	time.Sleep(100 * time.Millisecond)
	if got := w.logins(); got != "" {
		w.t.Errorf("after a change of the status: logins %q", got)
	}
	w.Users.Observe(silent, nil)
	u := w.made("team", "u", 1)
	w.event(nil, u)
	w.eventually("a user", "u")
	w.event(u, nil)
	w.eventually("a user less", "")
}

func (w *watched) keysAndNamespaces() {
	w.change(func(l *v1alpha1.SFTPListener) {
		l.Spec.AllowedUsers = v1alpha1.AllowedUsers{
			Usernames: v1alpha1.UsernamesAny,
			Rules: []v1alpha1.AllowedUsersRule{{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{
				From: v1alpha1.NamespacesSelector, Selector: &v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"sftp": "yes"}},
			}}},
		}
	})
	w.event(nil, w.made("far", "u"))
	w.eventually("another namespace", "")
	w.event(nil, metadata("Namespace", "", "far", "1", map[string]string{"sftp": "yes"}))
	w.event(nil, &v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "far", Name: "k", Generation: 1},
		Spec: v1alpha1.SFTPKeySpec{
			Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyPublicKey, PublicKey: publicKey(3), UserRef: &v1alpha1.LocalUserReference{Name: "u"},
		},
	})
	w.eventually("a namespace and a key", "u")
	w.event(metadata("Namespace", "", "far", "1", map[string]string{"sftp": "yes"}), metadata("Namespace", "", "far", "2", nil))
	w.eventually("a label less", "")
	w.event(metadata("Namespace", "", "far", "2", nil), metadata("Namespace", "", "far", "3", map[string]string{"sftp": "yes"}))
	w.eventually("a label", "u")
}

func (w *watched) secretsAndWakes(waker *wake.Waker) {
	name := render.ShardSecretName(w.l, 0)
	s := w.secrets.Secret("team", name)
	s.Data = nil
	w.secrets.Put(s)
	w.event(nil, metadata("Secret", "team", name, "1000", map[string]string{v1alpha1.LabelListener: w.l.Name}))
	w.eventually("a Secret", "u")
	u := w.Users.Get(w.name(), types.NamespacedName{Namespace: "far", Name: "u"})
	w.Users.Observe(u, nil)
	waker.Wake(w.name())
	w.eventually("a wake", "")
}
