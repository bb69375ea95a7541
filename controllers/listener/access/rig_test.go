package access

import (
	"crypto/ed25519"
	"encoding/binary"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/apply/applytest"
	"github.com/sftp-operator/sftp-operator/controllers/entry"
	"github.com/sftp-operator/sftp-operator/controllers/feed"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/wake"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// rig is a Reconciler with an in-memory API server and one listener.
type rig struct {
	*Reconciler
	t       testing.TB
	secrets *applytest.Secrets
	l       *v1alpha1.SFTPListener
	now     time.Time
	// api is the reconciler's client without Secrets, and calls are called before the operations that they name; nil for none.
	api   client.WithWatch
	calls interceptor.Funcs
	asker asker
	// read receives when the background reader has results, and woken receives the listeners that the listener controller must
	// reconcile.
	read  chan types.NamespacedName
	woken workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func newRig(t testing.TB) *rig {
	r := &rig{
		t: t, secrets: &applytest.Secrets{}, now: noon,
		l: &v1alpha1.SFTPListener{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners", UID: "l", Generation: 1},
			Spec:       v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{{Name: "home", EmptyDir: &v1alpha1.EmptyDirVolume{}}}},
		},
	}
	r.restart()
	return r
}

// restart starts a new Reconciler that knows only the contents of the Secrets, and the users.
func (r *rig) restart() {
	if r.api == nil {
		r.api = fake.NewClientBuilder().WithScheme(r.secrets.Scheme()).WithObjects(r.l.DeepCopy()).Build()
	}
	c := interceptor.NewClient(r.api, r.calls)
	now := func() time.Time { return r.now }
	users, namespaces := &feed.Users{}, &feed.Namespaces{}
	if r.Reconciler != nil {
		users, namespaces = r.Users, r.Namespaces
	}
	read := make(chan types.NamespacedName, 100)
	r.read = read
	r.Reconciler = &Reconciler{
		Client: c, Live: r.secrets, Users: users,
		Keys: &feed.Keys{Concerned: users.ListenersOf}, Namespaces: namespaces,
		Entries: entry.New(entry.Options{Metadata: r.secrets, Live: r.secrets, Wake: func(l types.NamespacedName) { read <- l }}),
		Writer:  &delivery.Writer{Client: r.secrets, Applier: &apply.Applier{Client: r.secrets, Live: r.secrets, Now: now}, Now: now},
		Store:   &exchange.Store{}, Delivered: &wake.Waker{},
		Announcer: &Announcer{Client: c, Poller: &poll.Poller{Client: c, StatusClient: &r.asker, Now: now}}, Now: now,
	}
	r.Namespaces.Concerned = r.Users.ListenersOf
	r.woken = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	r.t.Cleanup(r.woken.ShutDown)
	if err := r.Delivered.Source().Start(r.t.Context(), r.woken); err != nil {
		r.t.Fatal(err)
	}
}

// hostKey has the listener controller decide on a host key.
func (r *rig) hostKey() { r.rotate(0) }

// rotate has it decide on another host key for each number.
func (r *rig) rotate(n byte) {
	r.t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(seed), "")
	if err != nil {
		r.t.Fatal(err)
	}
	private := render.PrivateHostKey{Private: block.Bytes, State: v1alpha1.HostKeyActive}
	r.Store.Of(r.name(), r.l.UID).HostKeys.Store(&exchange.HostKeys{Private: []render.PrivateHostKey{private}, Signature: "s", Fingerprints: []string{"f1"}})
}

func (r *rig) name() types.NamespacedName { return client.ObjectKeyFromObject(r.l) }

// put creates or changes a user, as the informer would.
func (r *rig) put(name string, generation int64, keys ...int) *v1alpha1.SFTPUser {
	u := &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: name, UID: types.UID("uid-" + name), Generation: generation,
			CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour)), ResourceVersion: strconv.FormatInt(generation, 10),
		},
		Spec: v1alpha1.SFTPUserSpec{ListenerRef: v1alpha1.ListenerReference{Name: "partners"}},
	}
	for _, k := range keys {
		u.Spec.Authentication.AuthorizedKeys = append(u.Spec.Authentication.AuthorizedKeys, publicKey(k))
	}
	var before client.Object
	if old := r.Users.Get(r.name(), client.ObjectKeyFromObject(u)); old != nil {
		before = old
	}
	r.Users.Observe(before, u)
	return u
}

// publicKey returns an authorized_keys line with a different key for each number.
func publicKey(n int) string {
	seed := make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint64(seed, uint64(n))
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
	if err != nil {
		panic(err)
	}
	return string(ssh.MarshalAuthorizedKey(key))
}
