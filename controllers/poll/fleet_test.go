package poll

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
)

var (
	partners = types.NamespacedName{Namespace: "ns", Name: "partners"}
	noon     = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	// all accepts every user and key.
	all = ack.Known{Keys: 1000, User: func(string) bool { return true }, Key: func(string, string) bool { return true }, HostKey: func(string) bool { return true }}
)

// fleet plays the pods of a listener, each with the book of its daemon.
type fleet struct {
	client client.Client
	*Poller

	mu    sync.Mutex
	now   time.Time
	books map[string]*keyuse.Tracker
	// asked counts the key-use requests by pod, and looks the status requests.
	asked, looks map[string]int
	// loaded are the digests of pods, and keys the keys of their proofs, if not "key".
	loaded, keys map[string]string
	status       config.Status
	// mute pods do not answer; hanging ones do not until the channel is closed.
	mute  map[string]bool
	hang  map[string]chan struct{}
	limit int
	// during is called while a pod is asked.
	during func()
	// syncs counts annotations of pods.
	syncs map[string]int
}

func newFleet(t *testing.T, pods ...string) *fleet {
	t.Helper()
	f := &fleet{
		now: noon, books: map[string]*keyuse.Tracker{}, asked: map[string]int{}, looks: map[string]int{}, mute: map[string]bool{},
		loaded: map[string]string{}, keys: map[string]string{}, hang: map[string]chan struct{}{}, syncs: map[string]int{}, limit: config.MaxKeyUses,
	}
	f.client = fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, w client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			f.mu.Lock()
			f.syncs[o.GetName()]++
			f.mu.Unlock()
			return w.Patch(ctx, o, p, opts...)
		},
	}).Build()
	labels := map[string]string{v1alpha1.LabelListener: partners.Name}
	for _, o := range []client.Object{
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: partners.Namespace, Name: "partners-sftp", UID: "d", Labels: labels, OwnerReferences: owner("SFTPListener", "l")}},
		&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: partners.Namespace, Name: "rs", UID: "rs", Labels: labels, OwnerReferences: owner("Deployment", "d")}},
	} {
		if err := f.client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	f.Poller = &Poller{Client: f.client, StatusClient: f, Now: f.clock}
	for _, into := range []*queue{&f.own, &f.wake} {
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		t.Cleanup(q.ShutDown)
		if err := f.queue(into).Start(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range pods {
		f.add(t, name, nil)
	}
	return f
}

func owner(kind, uid string) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "v", Kind: kind, Name: uid, UID: types.UID(uid), Controller: new(true)}}
}

func (f *fleet) add(t *testing.T, name string, change func(*corev1.Pod)) {
	t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: partners.Namespace, Name: name, UID: types.UID(name), Labels: map[string]string{v1alpha1.LabelListener: partners.Name},
			Finalizers: []string{"test/held"}, OwnerReferences: owner("ReplicaSet", "rs"),
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "192.0.2.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	if change != nil {
		change(p)
	}
	if err := f.client.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	f.books[name], f.loaded[name] = keyuse.New(), "d"
}

// end makes a pod terminating; gone deletes it.
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

// Status implements ack.StatusClient.
func (f *fleet) Status(_ context.Context, p *corev1.Pod, keys ack.Keys) (ack.Answer, error) {
	f.mu.Lock()
	hang := f.hang[p.Name]
	f.mu.Unlock()
	if hang != nil {
		<-hang
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks[p.Name]++
	key := f.keys[p.Name]
	if key == "" {
		key = "key"
	}
	switch {
	case f.mute[p.Name]:
		return ack.Answer{}, errors.New("i/o timeout")
	case !slices.Contains(keys[:], key):
		return ack.Answer{}, ack.ErrUnproven
	}
	s := f.status
	s.Digest = f.loaded[p.Name]
	return ack.Answer{Status: s, Key: key}, nil
}

// KeyUse implements ack.StatusClient.
func (f *fleet) KeyUse(_ context.Context, p *corev1.Pod, key string, _ ack.Known, before config.KeyUseReport) (config.KeyUseReport, error) {
	if f.during != nil {
		f.during()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[p.Name]++
	if want := f.keys[p.Name]; want != "" && key != want || want == "" && key != "key" {
		return config.KeyUseReport{}, errors.New("it answered 401")
	}
	return f.books[p.Name].Since(before.Instance, before.Sequence, f.limit), nil
}

func (f *fleet) aimAt(change func(*Target)) {
	t := Target{UID: "l", Keys: ack.Keys{"key"}, Digest: "d", Known: all}
	if change != nil {
		change(&t)
	}
	f.SetTarget(partners, t)
}

func digest(d string) func(*Target) { return func(t *Target) { t.Digest = d } }

// poll polls once, and returns the time until the next poll.
func (f *fleet) poll(t *testing.T) time.Duration {
	t.Helper()
	r, err := f.Poller.Reconcile(t.Context(), reconcile.Request{NamespacedName: partners})
	if err != nil {
		t.Fatal(err)
	}
	return r.RequeueAfter
}

// woken reports whether the listener's reconciler was woken.
func (f *fleet) woken() bool {
	if f.wake.Len() == 0 {
		return false
	}
	r, _ := f.wake.Get()
	f.wake.Done(r)
	return true
}

// told returns the keys in reports, sorted.
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

func (f *fleet) unmerged(t *testing.T, want ...string) []Report {
	t.Helper()
	reports := f.Reports(partners, "l")
	if got := told(reports); !slices.Equal(got, want) {
		t.Errorf("not merged yet: %v, want %v", got, want)
	}
	return reports
}
