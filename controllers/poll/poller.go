// Package poll asks the pods of listeners for state that cannot be watched: which configuration
// they have loaded, which keys were used, whose logins were refused, what is wrong with volumes. It is the only package
// that waits for pods. Its results are an ack.Result, which it replaces as a whole, and reports
// on keys; the listener's reconciler is woken when there is something new.
package poll

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/pods"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Poller asks pods. As a reconcile.Reconciler it handles one listener once, and returns
// when to do so again; its queue is the timer.
type Poller struct {
	// Client reads from caches, and annotates pods.
	Client       client.Client
	StatusClient ack.StatusClient
	// Now is the clock.
	Now func() time.Time

	asks asks

	mu sync.Mutex
	// listeners that have a target. mu guards the map and its contents.
	listeners map[types.NamespacedName]*listener
	// own is the Poller's queue, and wake that of the listeners' reconciler; nil until their
	// controllers run.
	own, wake queue
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Target is what pods of a listener should have. It is immutable, including everything that it refers to.
type Target struct {
	// UID of the listener. The same name with a different UID is a different listener.
	UID types.UID
	// Keys prove pods' answers. Without the first, no pod is asked.
	Keys ack.Keys
	// Digest of the configuration, and when this process has written it; zero if another one has.
	Digest  string
	Written time.Time
	// Known describes the configuration, to validate pods' reports.
	Known ack.Known
	// Paused pods are neither asked nor annotated. Earlier reports stay.
	Paused bool
}

// asked reports whether there is something to ask pods for.
func (t Target) asked() bool { return t.Keys[0] != "" && t.Digest != "" && !t.Paused }

// Report is a pod's report on the use of keys.
type Report struct {
	Pod types.UID
	config.KeyUseReport
}

// SetTarget replaces what the pods of a listener should have. If the digest changed, they are
// asked at once.
func (p *Poller) SetTarget(name types.NamespacedName, t Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.listeners[name]
	if l == nil || l.target.UID != t.UID {
		if p.listeners == nil {
			p.listeners = map[types.NamespacedName]*listener{}
		}
		l = &listener{pods: map[types.UID]*pod{}}
		p.listeners[name] = l
	}
	l.aim(t, p.Now())
	p.look(name)
}

// Forget drops a deleted listener.
func (p *Poller) Forget(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.listeners, name)
}

// Result returns what the pods of a listener report about its target's configuration. It is
// false until they had time to load it: while a change is being delivered, lagging pods are
// expected.
func (p *Poller) Result(name types.NamespacedName) (ack.Result, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.listeners[name]; l != nil && l.result != nil && l.result.Digest == l.target.Digest {
		return *l.result, true
	}
	return ack.Result{}, false
}

// Reports returns the pods' reports that have not been merged yet, in order of arrival.
func (p *Poller) Reports(name types.NamespacedName, uid types.UID) []Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.listeners[name]; l != nil && l.target.UID == uid {
		return slices.Clone(l.reports)
	}
	return nil
}

// Merged records that the caller has stored reports from Reports: the next request confirms
// them to the pods, which may then forget them.
func (p *Poller) Merged(name types.NamespacedName, uid types.UID, reports []Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.listeners[name]; l != nil && l.target.UID == uid && l.merged(reports) {
		p.look(name)
	}
}

// look queues a listener. p.mu must be locked.
func (p *Poller) look(name types.NamespacedName) {
	if p.own != nil {
		p.own.Add(reconcile.Request{NamespacedName: name})
	}
}

// Reconcile implements reconcile.Reconciler.
func (p *Poller) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	l, t := p.target(req.NamespacedName)
	if l == nil || !t.asked() {
		return reconcile.Result{}, nil // the next SetTarget starts again
	}
	owned, err := pods.Owned(ctx, p.Client, &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: req.Namespace, Name: req.Name, UID: t.UID},
	})
	if err != nil {
		return reconcile.Result{}, err
	}
	owned = ack.Sorted(owned)
	p.mu.Lock()
	requests := l.due(owned, p.Now())
	p.mu.Unlock()
	delay := p.ask(ctx, req.NamespacedName, l, t, requests)
	syncs, again := p.conclude(req, l, owned)

	if err := ack.RequestSyncAgain(ctx, p.Client, syncs, t.Digest); err != nil {
		// It is repeated as long as they need it.
		ctrl.LoggerFrom(ctx).Info("The volumes of some pods cannot be refreshed yet", "error", err.Error())
	}
	return reconcile.Result{RequeueAfter: max(again, delay)}, nil
}

// target returns what is known about a listener, and its target; nil if there is none.
func (p *Poller) target(name types.NamespacedName) (*listener, Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.listeners[name]; l != nil {
		return l, l.target
	}
	return nil, Target{}
}

// conclude publishes what is known now. It returns the pods whose volumes should be refreshed,
// and when to handle the listener again.
func (p *Poller) conclude(req reconcile.Request, l *listener, owned []*corev1.Pod) (syncs []*corev1.Pod, again time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listeners[req.NamespacedName] != l || !l.target.asked() {
		return nil, 0 // it was recreated or paused meanwhile
	}
	now := p.Now()
	if l.publish(owned, now) && p.wake != nil {
		p.wake.Add(req)
	}
	syncs, next := l.syncs(owned, now)
	return syncs, min(l.wait(owned, now), next)
}
