package listener

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// indexes registers the reconciler's indexes with an in-memory client.
type indexes struct{ *fake.ClientBuilder }

// IndexField implements client.FieldIndexer.
func (i indexes) IndexField(_ context.Context, o client.Object, field string, f client.IndexerFunc) error {
	if names := f(&corev1.Pod{}); names != nil {
		return errors.New("a pod has claims")
	}
	i.WithIndex(o, field, f)
	return nil
}

// with returns a Reconciler of a cluster with these objects, and its events.
func with(t *testing.T, objects ...client.Object) (*Reconciler, *events.FakeRecorder) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	recorder := events.NewFakeRecorder(20)
	r := &Reconciler{Metrics: metrics, Events: recorder}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.SFTPListener{})
	builder.WithIndex(&v1alpha1.SFTPKey{}, key.SecretIndex, func(o client.Object) []string { return []string{o.GetName() + "-secret"} })
	if err := r.index(t.Context(), indexes{builder}); err != nil {
		t.Fatal(err)
	}
	r.Client = builder.Build()
	return r, recorder
}

// told returns the events since the last call.
func told(recorder *events.FakeRecorder) (out []string) {
	for {
		select {
		case e := <-recorder.Events:
			out = append(out, e)
		default:
			return out
		}
	}
}

// Events report what happened to a host key, and warn of one that was not announced to clients.
func TestHostKeyEvents(t *testing.T) {
	r, recorder := with(t)
	k := hostkey.Key{Name: "k", Type: "Ed25519", Fingerprint: "SHA256:x"}
	revised := k
	revised.Revision = 3
	r.announceHostKeys(found().listener, []hostkey.Change{
		{Key: k, To: v1alpha1.HostKeyActive},
		{Key: revised, From: v1alpha1.HostKeyStaged, To: v1alpha1.HostKeyAdvertised},
		{Key: k, From: v1alpha1.HostKeyRetiring},
		{Key: k, From: v1alpha1.HostKeyStaged, To: v1alpha1.HostKeyActive, Forced: true},
	})
	want := []string{
		`Normal HostKeyActive Host key Ed25519 SHA256:x of SFTPKey "k" is Active`,
		`Normal HostKeyAdvertised Host key Ed25519 SHA256:x of SFTPKey "k", revision 3, is Advertised and was Staged`,
		`Normal HostKeyRemoved Host key Ed25519 SHA256:x of SFTPKey "k" is gone`,
		`Warning HostKeyActive Host key Ed25519 SHA256:x of SFTPKey "k" is Active and was Staged; it was not announced, because overlapSeconds is 0: clients that do not know the new key refuse to connect or ask`,
	}
	if got := told(recorder); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A restart of the only pod is announced once for each change.
func TestWarnOfRestart(t *testing.T) {
	r, recorder := with(t)
	f := found()
	f.workload.Rollout = workload.Rollout{Changes: []string{"image", "port"}}
	if r.warnOfRestart(f); len(told(recorder)) != 0 {
		t.Error("pods that are not restarted are announced")
	}
	f.workload.Rollout.RestartsOnlyPod = true
	for range 2 {
		r.warnOfRestart(f)
	}
	if got := told(recorder); len(got) != 1 || !strings.HasPrefix(got[0], "Warning "+v1alpha1.ReasonPodRestart+" A change to image, port restarts the only pod") {
		t.Errorf("%q", got)
	}
	f.workload.Rollout.Changes = []string{"image"}
	if r.warnOfRestart(f); len(told(recorder)) != 1 {
		t.Error("another change is not announced")
	}
}

// A status is written if anything in it differs, and only to the listener that it belongs to.
func TestWriteStatus(t *testing.T) {
	l := found().listener
	r, _ := with(t, l.DeepCopy())
	status := func() v1alpha1.SFTPListenerStatus {
		got := &v1alpha1.SFTPListener{}
		if err := r.Client.Get(t.Context(), client.ObjectKeyFromObject(l), got); err != nil {
			t.Fatal(err)
		}
		return got.Status
	}
	if err := r.Client.Get(t.Context(), client.ObjectKeyFromObject(l), l); err != nil {
		t.Fatal(err)
	}
	version := l.ResourceVersion
	if err := r.writeStatus(t.Context(), l, v1alpha1.SFTPListenerStatus{}); err != nil {
		t.Fatal(err)
	}
	if err := r.writeStatus(t.Context(), l, v1alpha1.SFTPListenerStatus{ConfigDigest: "d"}); err != nil || status().ConfigDigest != "d" || l.Status.ConfigDigest != "" {
		t.Errorf("%+v, %v", status(), err)
	}
	if !r.written.IsStale(l) || l.ResourceVersion != version {
		t.Error("what was written is not remembered")
	}
	again := l.DeepCopy()
	again.UID = "other"
	if err := r.writeStatus(t.Context(), again, v1alpha1.SFTPListenerStatus{ConfigDigest: "e"}); err == nil || status().ConfigDigest != "d" {
		t.Errorf("the status of another listener was written: %v", err)
	}
	gone := l.DeepCopy()
	gone.Name = "gone"
	if err := r.writeStatus(t.Context(), gone, v1alpha1.SFTPListenerStatus{ConfigDigest: "e"}); err != nil {
		t.Errorf("the status of a listener that is gone: %v", err)
	}
}

func names(list []reconcile.Request) (out []string) {
	for _, r := range list {
		out = append(out, r.Name)
	}
	slices.Sort(out)
	return out
}

// A key, its Secret and a claim wake the listeners of their namespace that want or have them.
func TestWhomAnObjectConcerns(t *testing.T) {
	listener := func(name string, change func(*v1alpha1.SFTPListener)) *v1alpha1.SFTPListener {
		l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}}
		l.Spec.HostKeyRefs = []v1alpha1.LocalKeyReference{{Name: "nobody's"}}
		change(l)
		return l
	}
	elsewhere := listener("elsewhere", func(l *v1alpha1.SFTPListener) { l.Spec.HostKeyRefs[0].Name = "k" })
	elsewhere.Namespace = "other"
	k := func(name string, usage v1alpha1.KeyUsage) *v1alpha1.SFTPKey {
		return &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Spec: v1alpha1.SFTPKeySpec{Usage: usage}}
	}
	plain := listener("plain", func(l *v1alpha1.SFTPListener) { l.Spec.HostKeyRefs = nil })
	r, _ := with(t, elsewhere, plain,
		listener("wants", func(l *v1alpha1.SFTPListener) {
			l.Spec.HostKeyRefs = []v1alpha1.LocalKeyReference{{Name: "first"}, {Name: "k"}, {Name: "last"}}
		}),
		listener("has", func(l *v1alpha1.SFTPListener) {
			l.Status.HostKeys = []v1alpha1.HostKeyStatus{{Name: "k"}, {Name: "x"}}
		}),
		listener("named", func(l *v1alpha1.SFTPListener) {
			l.Spec.Volumes = []v1alpha1.ListenerVolume{
				{Name: "e", EmptyDir: &v1alpha1.EmptyDirVolume{}},
				{Name: "v", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "data"}},
			}
		}),
		listener("made", func(l *v1alpha1.SFTPListener) {
			l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "v", ClaimTemplate: &v1alpha1.ClaimTemplate{}}}
		}),
		k("k", v1alpha1.KeyUsageHost), k("first", v1alpha1.KeyUsageClient),
	)
	claim := func(name string) client.Object {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}}
	}
	secret := func(name string) client.Object {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}}
	}
	for what, tc := range map[string]struct{ got, want []string }{
		"a key":                  {names(r.listenersOfHostKey(t.Context(), k("k", ""))), []string{"has", "wants"}},
		"the last of a list":     {names(r.listenersOfHostKey(t.Context(), k("last", ""))), []string{"wants"}},
		"a default key":          {names(r.listenersOfHostKey(t.Context(), k(render.DefaultHostKeyName(plain), ""))), []string{"plain"}},
		"a default key not used": {names(r.listenersOfHostKey(t.Context(), k("wants-ed25519", ""))), nil},
		"a Secret":               {names(r.listenersOfSecret(t.Context(), secret("k-secret"))), []string{"has", "wants"}},
		"of a client's key":      {names(r.listenersOfSecret(t.Context(), secret("first-secret"))), nil},
		"another Secret":         {names(r.listenersOfSecret(t.Context(), secret("x"))), nil},
		"a claim":                {names(r.listenersOfClaim(t.Context(), claim("data"))), []string{"named"}},
		"a claim that was made":  {names(r.listenersOfClaim(t.Context(), claim("made-v"))), []string{"made"}},
		"another claim":          {names(r.listenersOfClaim(t.Context(), claim("x"))), nil},
	} {
		if !slices.Equal(tc.got, tc.want) {
			t.Errorf("%s: %v, want %v", what, tc.got, tc.want)
		}
	}
}

// A user's status says that a ready pod lacks its volume, whether that holds its home directory or a mount.
func TestUnmounted(t *testing.T) {
	l := found().listener
	l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home", EmptyDir: &v1alpha1.EmptyDirVolume{}}, {Name: "more", EmptyDir: &v1alpha1.EmptyDirVolume{}}}
	meta := func(name, kind, owner string) metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Namespace: "team", Name: name, UID: types.UID(name), Labels: map[string]string{v1alpha1.LabelListener: "partners"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: kind, Name: "x", UID: types.UID(owner), Controller: new(true)}},
		}
	}
	pod := func(name string, ready corev1.ConditionStatus, volumes ...string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: meta(name, "ReplicaSet", "rs"), Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "192.0.2.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}},
		}}
		for _, v := range append(volumes, "config") {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: v})
		}
		return p
	}
	user := func(home, mount string) *v1alpha1.SFTPUser {
		u := &v1alpha1.SFTPUser{}
		u.Spec.HomeDirectory.Volume = home
		if mount != "" {
			u.Spec.Mounts = []v1alpha1.Mount{{Path: "/a", Directory: v1alpha1.Directory{Volume: "home"}}, {Path: "/m", Directory: v1alpha1.Directory{Volume: mount}}}
		}
		return u
	}
	for name, tc := range map[string]struct {
		pods []client.Object
		want [3]string // of users at home, with a mount of more, and at home in more
	}{
		"all have all":       {[]client.Object{pod("a", corev1.ConditionTrue, "data-home", "data-more")}, [3]string{}},
		"one is older":       {[]client.Object{pod("a", corev1.ConditionTrue, "data-home", "data-more"), pod("b", corev1.ConditionTrue, "data-home")}, [3]string{"", "more", "more"}},
		"older, not ready":   {[]client.Object{pod("b", corev1.ConditionFalse, "data-home")}, [3]string{}},
		"nothing is mounted": {[]client.Object{pod("b", corev1.ConditionTrue)}, [3]string{"home", "home", "more"}},
		"no pods":            {nil, [3]string{}},
	} {
		r, _ := with(t, append(tc.pods,
			&appsv1.Deployment{ObjectMeta: meta(render.WorkloadName(l), "SFTPListener", "l")},
			&appsv1.ReplicaSet{ObjectMeta: meta("rs", "Deployment", render.WorkloadName(l))})...)
		of, err := r.unmounted(t.Context(), &findings{listener: l})
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]string{of(user("home", "")), of(user("home", "more")), of(user("more", ""))}; got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
