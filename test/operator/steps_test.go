package operator

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/test/fakepods"
)

var namespaces atomic.Int32

// namespace creates a namespace for a test. Everything in it that the operator reconciles is deleted when the test ends.
func namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("ns-%d", namespaces.Add(1)), Labels: labels}}
	create(t, ns)
	cleanUp(t, ns.Name)
	return ns.Name
}

// cleanUp deletes a namespace's objects after the test. There is no garbage collector here: a listener's leftovers would be in
// the way of the next listener with the same name.
func cleanUp(t *testing.T, ns string) {
	t.Helper()
	t.Cleanup(func() {
		for _, o := range []client.Object{
			&v1alpha1.SFTPUser{}, &v1alpha1.SFTPListener{}, &v1alpha1.SFTPKey{}, &appsv1.Deployment{}, &appsv1.ReplicaSet{},
			&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.ServiceAccount{},
		} {
			if err := api.DeleteAllOf(context.Background(), o, client.InNamespace(ns)); err != nil {
				t.Error(err)
			}
		}
	})
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := api.Create(t.Context(), o); err != nil {
		t.Fatalf("create %T %s: %v", o, o.GetName(), err)
	}
}

func get(t *testing.T, o client.Object, namespace, name string) {
	t.Helper()
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
		t.Fatalf("get %T %s/%s: %v", o, namespace, name, err)
	}
}

// change reads an object, changes it and writes it back.
func change[T client.Object](t *testing.T, o T, edit func(T)) {
	t.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		get(t, o, o.GetNamespace(), o.GetName())
		edit(o)
		return api.Update(t.Context(), o)
	})
	if err != nil {
		t.Fatalf("update %T %s: %v", o, o.GetName(), err)
	}
}

func remove(t *testing.T, o client.Object) {
	t.Helper()
	if err := api.Delete(t.Context(), o); err != nil {
		t.Fatalf("delete %T %s: %v", o, o.GetName(), err)
	}
}

// eventually waits until a check returns nil.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(15 * slowness())
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// judge checks up to three times for something that must not happen. A busy machine may be late with something intended,
// whereas a defect shows up every time.
func judge(t *testing.T, look func() error) {
	t.Helper()
	const tries = 3
	for try := 1; ; try++ {
		err := look()
		switch {
		case err == nil:
			return
		case try == tries:
			t.Error(err)
			return
		}
		t.Logf("try %d of %d: %v", try, tries, err)
	}
}

// pace returns enough time for some steps of a test, based on the time that the machine has needed for other steps since the
// given time.
func pace(since time.Time) time.Duration { return 3*time.Second + 5*time.Since(since) }

// newListener returns a listener in a namespace, with an emptyDir.
func newListener(ns string, edits ...func(*v1alpha1.SFTPListener)) *v1alpha1.SFTPListener {
	l := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners"},
		Spec:       v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{{Name: "home", EmptyDir: &v1alpha1.EmptyDirVolume{}}}},
	}
	for _, edit := range edits {
		edit(l)
	}
	return l
}

// admitting admits namespaces, and lets their users choose their login names.
func admitting(from v1alpha1.NamespacesFrom, selector *v1alpha1.NamespaceSelector) func(*v1alpha1.SFTPListener) {
	return func(l *v1alpha1.SFTPListener) {
		l.Spec.AllowedUsers = v1alpha1.AllowedUsers{
			Usernames: v1alpha1.UsernamesAny,
			Rules:     []v1alpha1.AllowedUsersRule{{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{From: from, Selector: selector}}},
		}
	}
}

// readyListener creates a listener with one pod and waits until it is ready.
func readyListener(t *testing.T, ns string, edits ...func(*v1alpha1.SFTPListener)) *v1alpha1.SFTPListener {
	t.Helper()
	l := newListener(ns, edits...)
	create(t, l)
	readyPod(t, l, "a")
	waitFor(t, l, "Ready", "True", "Ready", "Clients can log in")
	return l
}

// newUser returns a login on the listener "partners" in the same namespace, with its own key.
func newUser(ns, name string, edits ...func(*v1alpha1.SFTPUser)) *v1alpha1.SFTPUser {
	u := &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: v1alpha1.SFTPUserSpec{
			ListenerRef:    v1alpha1.ListenerReference{Name: "partners"},
			Authentication: v1alpha1.UserAuthentication{AuthorizedKeys: []string{publicKey(ns + name)}},
		},
	}
	for _, edit := range edits {
		edit(u)
	}
	return u
}

func of(l *v1alpha1.SFTPListener) func(*v1alpha1.SFTPUser) {
	return func(u *v1alpha1.SFTPUser) {
		u.Spec.ListenerRef = v1alpha1.ListenerReference{Namespace: l.Namespace, Name: l.Name}
	}
}

func withPassword(secret string) func(*v1alpha1.SFTPUser) {
	return func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: secret}
	}
}

func passwordSecret(ns, name, password string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, StringData: map[string]string{"password": password}}
}

// publicKey returns a key that depends on a seed.
func publicKey(seed string) string {
	sum := sha256.Sum256([]byte(seed))
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type string
		Key  []byte
	}{ssh.KeyAlgoED25519, sum[:]}))
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// pod creates a pod of a listener that is not ready yet, as its Deployment would.
func pod(t *testing.T, l *v1alpha1.SFTPListener, name string) *corev1.Pod {
	t.Helper()
	return podWith(t, l, name, func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "config"}}
		for _, v := range l.Spec.Volumes {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "data-" + v.Name})
		}
	})
}

// podWith creates a pod of a listener's Deployment, once that exists, and allows changing it before.
func podWith(t *testing.T, l *v1alpha1.SFTPListener, name string, change func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	d := &appsv1.Deployment{}
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: l.Namespace, Name: render.WorkloadName(l)}, d); err != nil {
			return err
		}
		if l.UID != "" && !metav1.IsControlledBy(d, l) {
			return fmt.Errorf("the Deployment is that of an earlier listener")
		}
		return nil
	})
	p, err := fakepods.Create(t.Context(), api, d, l.Name+"-sftp-"+name, change)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func readyPod(t *testing.T, l *v1alpha1.SFTPListener, name string) *corev1.Pod {
	t.Helper()
	p := pod(t, l, name)
	setReady(t, p, corev1.ConditionTrue)
	return p
}

// askPods has the operator ask the pods of a listener now, rather than within a minute, by a change that they are expected to load.
func askPods(t *testing.T, l *v1alpha1.SFTPListener, n int) {
	t.Helper()
	target := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name}}
	change(t, target, func(l *v1alpha1.SFTPListener) { l.Spec.Limits.MaxConnections = new(int32(100 + n)) })
}

func setReady(t *testing.T, p *corev1.Pod, ready corev1.ConditionStatus) {
	t.Helper()
	before := p.DeepCopy()
	p.Status.Phase = corev1.PodRunning
	p.Status.PodIP = "192.0.2.10"
	p.Status.PodIPs = []corev1.PodIP{{IP: p.Status.PodIP}}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	if err := api.Status().Patch(t.Context(), p, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

func conditionsOf(o client.Object) []metav1.Condition {
	switch o := o.(type) {
	case *v1alpha1.SFTPListener:
		return o.Status.Conditions
	case *v1alpha1.SFTPUser:
		return o.Status.Conditions
	case *v1alpha1.SFTPKey:
		return o.Status.Conditions
	}
	return nil
}

// waitFor waits until a condition of an object is as given, for the current generation. An empty message matches any.
func waitFor(t *testing.T, o client.Object, conditionType, status, reason, message string) {
	t.Helper()
	eventually(t, func() error {
		get(t, o, o.GetNamespace(), o.GetName())
		c := meta.FindStatusCondition(conditionsOf(o), conditionType)
		switch {
		case c == nil:
			return fmt.Errorf("%T %s has no condition %s", o, o.GetName(), conditionType)
		case string(c.Status) != status || c.Reason != reason || (message != "" && withoutSuggestion(c.Message) != message):
			return fmt.Errorf("%T %s: %s is %s/%s\n\t%s\nwant %s/%s\n\t%s", o, o.GetName(), conditionType, c.Status, c.Reason, c.Message, status, reason, message)
		case c.ObservedGeneration != o.GetGeneration():
			return fmt.Errorf("%T %s: %s is of generation %d, want %d", o, o.GetName(), conditionType, c.ObservedGeneration, o.GetGeneration())
		}
		return nil
	})
}

// withoutSuggestion returns a message without the listeners that admit a namespace: listeners of other tests are among them.
func withoutSuggestion(message string) string {
	message, _, _ = strings.Cut(message, ". Listeners that admit namespace ")
	message, _, _ = strings.Cut(message, ". No listener admits namespace ")
	return message
}

func waitReady(t *testing.T, u *v1alpha1.SFTPUser) {
	t.Helper()
	waitFor(t, u, "Ready", "True", "Ready", "The user can log in")
	if _, ok := pods.logins(listenerOf(u).Namespace)[u.Status.Username]; !ok {
		t.Errorf("SFTPUser %s is Ready, but no pod has its login", u.Name)
	}
}

// waitRefused waits until a user is refused and its login is gone from the pods.
func waitRefused(t *testing.T, u *v1alpha1.SFTPUser, reason, message string) {
	t.Helper()
	waitFor(t, u, "Accepted", "False", reason, message)
	waitFor(t, u, "ResolvedRefs", "Unknown", "Pending", "Not evaluated until the user is accepted")
	if conditions.ClassOf(reason) == conditions.Inactive {
		waitFor(t, u, "Inactive", "True", reason, message)
	} else {
		waitFor(t, u, "Ready", "False", reason, message)
	}
	eventually(t, func() error {
		for _, login := range pods.logins(listenerOf(u).Namespace) {
			if login.UID == string(u.UID) {
				return fmt.Errorf("SFTPUser %s is refused, but pods still have its login", u.Name)
			}
		}
		return nil
	})
}

func listenerOf(u *v1alpha1.SFTPUser) client.ObjectKey {
	k := client.ObjectKey{Namespace: u.Spec.ListenerRef.Namespace, Name: u.Spec.ListenerRef.Name}
	if k.Namespace == "" {
		k.Namespace = u.Namespace
	}
	return k
}
