package access

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// reconcile reconciles, and returns the time until the next reconcile.
func (r *rig) reconcile() (time.Duration, error) {
	res, err := r.Reconcile(r.t.Context(), ctrl.Request{NamespacedName: r.name()})
	return res.RequeueAfter, err
}

// good reconciles and expects no error.
func (r *rig) good() time.Duration {
	r.t.Helper()
	wait, err := r.reconcile()
	if err != nil {
		r.t.Errorf("reconcile: %v", err)
	}
	return wait
}

// change changes the listener.
func (r *rig) change(do func(*v1alpha1.SFTPListener)) {
	r.t.Helper()
	l := &v1alpha1.SFTPListener{}
	if err := r.api.Get(r.t.Context(), r.name(), l); err != nil {
		r.t.Fatal(err)
	}
	do(l)
	l.Generation++
	if err := r.api.Update(r.t.Context(), l); err != nil {
		r.t.Fatal(err)
	}
}

// access returns what the listener controller gets; it must not be empty.
func (r *rig) access() exchange.Access {
	r.t.Helper()
	a := r.Store.Of(r.name(), r.l.UID).Access.Load()
	if a == nil {
		r.t.Fatal("the listener controller is told nothing")
	}
	return *a
}

// wakes returns how often the listener controller was woken since the last call, at most once.
func (r *rig) wakes() int {
	n := r.woken.Len()
	for range n {
		item, _ := r.woken.Get()
		r.woken.Done(item)
		if item.NamespacedName != r.name() {
			r.t.Errorf("woken for %s", item)
		}
	}
	return n
}

// delivered returns the delivered records by login name, and what a user's record contains.
func (r *rig) delivered() map[string]config.User {
	r.t.Helper()
	out := map[string]config.User{}
	for i := range 8 {
		s := r.secrets.Secret(r.l.Namespace, render.ShardSecretName(r.l, i))
		if s == nil {
			continue
		}
		for line := range bytes.Lines(s.Data[render.ShardFile(i)]) {
			u, err := config.DecodeUser(line)
			if err != nil {
				r.t.Fatal(err)
			}
			out[u.Username] = u
		}
	}
	return out
}

// logins are those that the pods get.
func (r *rig) logins() string {
	r.t.Helper()
	var out []string
	for name := range r.delivered() {
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// remove deletes a user.
func (r *rig) remove(name string) {
	u := r.Users.Get(r.name(), types.NamespacedName{Namespace: "team", Name: name})
	r.Users.Observe(u, nil)
}

// edit changes a user, as the informer would.
func (r *rig) edit(u *v1alpha1.SFTPUser, do func(*v1alpha1.SFTPUser)) *v1alpha1.SFTPUser {
	after := u.DeepCopy()
	after.Generation++
	after.ResourceVersion += "1"
	do(after)
	r.Users.Observe(u, after)
	return after
}

// running gives the listener a Deployment with ready pods.
func (r *rig) running(names ...string) {
	r.t.Helper()
	meta := func(name, uid, kind, owner string) metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Namespace: "team", Name: name, UID: types.UID(uid), Labels: map[string]string{v1alpha1.LabelListener: r.l.Name},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: kind, Name: "x", UID: types.UID(owner), Controller: new(true)}},
		}
	}
	objects := []client.Object{
		&appsv1.Deployment{ObjectMeta: meta(render.WorkloadName(r.l), "d", "SFTPListener", string(r.l.UID))},
		&appsv1.ReplicaSet{ObjectMeta: meta("rs", "rs", "Deployment", "d")},
	}
	for _, name := range names {
		objects = append(objects, &corev1.Pod{ObjectMeta: meta(name, name, "ReplicaSet", "rs"), Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "192.0.2.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		}})
	}
	for _, o := range objects {
		if err := r.api.Create(r.t.Context(), o); err != nil {
			r.t.Fatal(err)
		}
	}
}

// asked returns the digest in a pod's annotation, once there is one.
func (r *rig) annotated(pod, digest string) {
	r.t.Helper()
	var got string
	for range 6000 {
		p := &corev1.Pod{}
		if err := r.api.Get(r.t.Context(), types.NamespacedName{Namespace: "team", Name: pod}, p); err != nil {
			r.t.Fatal(err)
		}
		if got = p.Annotations[v1alpha1.AnnotationConfigDigest]; got == digest {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Errorf("pod %s is annotated with %q, want %q", pod, got, digest)
}

// poll has the Poller check the listener once, and returns what it requested from the pods.
func (r *rig) poll() []asking {
	r.t.Helper()
	r.asker.take()
	if _, err := r.Announcer.Poller.Reconcile(r.t.Context(), ctrl.Request{NamespacedName: r.name()}); err != nil {
		r.t.Error(err)
	}
	return r.asker.take()
}

// asking is a request to a pod.
type asking struct {
	keys  ack.Keys
	known ack.Known
}

// asker answers for pods that have loaded the configuration with this digest.
type asker struct {
	digest string

	mu    sync.Mutex
	asked []asking // mu guards it
}

func (a *asker) take() []asking {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.asked
	a.asked = nil
	return out
}

// Status implements ack.StatusClient.
func (a *asker) Status(_ context.Context, _ *corev1.Pod, keys ack.Keys) (ack.Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, asking{keys: keys})
	return ack.Answer{Status: config.Status{Digest: a.digest}, Key: keys[0]}, nil
}

// KeyUse implements ack.StatusClient.
func (a *asker) KeyUse(_ context.Context, _ *corev1.Pod, _ string, known ack.Known, _ config.KeyUseReport) (config.KeyUseReport, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked[len(a.asked)-1].known = known
	return config.KeyUseReport{}, errors.New("nothing yet")
}

// reading starts the background reader.
func (r *rig) reading() {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Entries.Start(ctx)
	}()
	r.t.Cleanup(func() { cancel(); <-ended })
}

// news waits for results of the background reader, and reconciles.
func (r *rig) news() {
	r.t.Helper()
	select {
	case <-r.read:
	case <-time.After(time.Minute):
		r.t.Fatal("the background reader has no news")
	}
	r.good()
}
