// Package poll asks the pods of listeners for what no watch tells: which keys were used, and
// whether they are still as the listener's reconciler found them. To ask costs a fraction of a
// reconcile, and that follows only where there is news.
package poll

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/sftp-operator/sftp-operator/controllers/ack"
)

// Poller asks pods. As a reconcile.Reconciler it does so for one listener, once, and says when
// again; its queue is the timer.
type Poller struct {
	Client client.Reader
	Asker  ack.Asker
	// Now is the clock.
	Now func() time.Time

	mu sync.Mutex
	// listeners that were told of. mu protects the map and what is in it.
	listeners map[types.NamespacedName]*listener
	// own is the Poller's queue, and wake that of the listeners' reconciler; nil until their
	// controllers run.
	own, wake queue
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Told is what a reconcile of a listener knows of its pods.
type Told struct {
	// UID of the listener. One with the same name and another UID is another one.
	UID types.UID
	// Pods are the labels that its pods have.
	Pods client.MatchingLabels
	// Tokens for the use of keys: the present one, and the one before, which pods have that
	// are about to end and get no configuration any more. Without the first none is asked.
	Tokens [2]string
	// Digest of the configuration that pods should have, and Found what they said of it; nil
	// if the reconciler looks again by itself.
	Digest string
	Found  *ack.Result
	// Later says not to ask at once: this reconcile came of what the pods have just told.
	Later bool
}

// Tell replaces what is known of a listener. Its pods are asked soon, since a reconcile means
// that something has changed.
func (p *Poller) Tell(name types.NamespacedName, t Told) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.listeners[name]
	if l == nil || l.told.UID != t.UID {
		if p.listeners == nil {
			p.listeners = map[types.NamespacedName]*listener{}
		}
		l = &listener{pods: map[types.UID]*pod{}}
		p.listeners[name] = l
	}
	l.told, l.looked = t, p.Now()
	if !t.Later {
		l.turn++
	}
	if p.own != nil {
		p.own.Add(reconcile.Request{NamespacedName: name})
	}
}

// Forget drops a listener that is gone.
func (p *Poller) Forget(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.listeners, name)
}

// Reports are what pods of a listener have told and nobody has merged yet, in the order in
// which they told it.
func (p *Poller) Reports(name types.NamespacedName, uid types.UID) []Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.listeners[name]; l != nil && l.told.UID == uid {
		return slices.Clone(l.reports)
	}
	return nil
}

// Merged says that reports of Reports are in the caller's keeping: the next question confirms
// them to the pods, which then may forget.
func (p *Poller) Merged(name types.NamespacedName, uid types.UID, reports []Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.listeners[name]; l != nil && l.told.UID == uid {
		l.merged(reports)
	}
}

// Asking is the source of the Poller's own controller.
func (p *Poller) Asking() source.Source {
	return source.Func(func(_ context.Context, q queue) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.own = q
		for name := range p.listeners {
			q.Add(reconcile.Request{NamespacedName: name})
		}
		return nil
	})
}

// News is a source of the listeners' controller: those whose pods have told something.
func (p *Poller) News() source.Source {
	return source.Func(func(_ context.Context, q queue) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.wake = q
		return nil
	})
}

// Reconcile implements reconcile.Reconciler.
func (p *Poller) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	l, told := p.told(req.NamespacedName)
	if told.Tokens[0] == "" {
		return reconcile.Result{}, nil // the next Tell begins anew
	}
	var list corev1.PodList
	// They are only read, and there may be thousands.
	if err := p.Client.List(ctx, &list, client.InNamespace(req.Namespace), told.Pods, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, fmt.Errorf("list pods: %w", err)
	}
	p.mu.Lock()
	questions, look := l.due(list.Items, told.Found != nil, p.Now())
	p.mu.Unlock()

	// Nothing is locked meanwhile: a pod that does not answer costs seconds.
	p.ask(ctx, told.Tokens, questions)
	differs := look && !p.look(ctx, list.Items, told)

	p.mu.Lock()
	defer p.mu.Unlock()
	news := l.note(questions)
	if p.listeners[req.NamespacedName] != l {
		return reconcile.Result{}, nil // it was made again, and its first reconcile tells of it
	}
	if (news || differs) && p.wake != nil {
		p.wake.Add(req)
	}
	return reconcile.Result{RequeueAfter: l.wait(list.Items, p.Now())}, nil
}

// told is what is known of a listener, nothing if there is none.
func (p *Poller) told(name types.NamespacedName) (*listener, Told) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.listeners[name]; l != nil {
		return l, l.told
	}
	return nil, Told{}
}

// ask asks all pods at once.
func (p *Poller) ask(ctx context.Context, tokens [2]string, questions []*question) {
	var wg sync.WaitGroup
	for _, q := range questions {
		wg.Go(func() {
			q.report, q.err = p.Asker.KeyUse(ctx, q.pod, tokens[0], q.known)
			if q.err != nil && tokens[1] != "" && !q.pod.DeletionTimestamp.IsZero() {
				q.report, q.err = p.Asker.KeyUse(ctx, q.pod, tokens[1], q.known)
			}
			if q.err != nil {
				ctrl.LoggerFrom(ctx).V(1).Info("A pod does not tell the use of keys", "pod", q.pod.Name, "error", q.err.Error())
			}
		})
	}
	wg.Wait()
}

// look says whether pods are as they were found.
func (p *Poller) look(ctx context.Context, pods []corev1.Pod, told Told) bool {
	now := ack.Survey(ctx, p.Asker, pods, told.Digest)
	return ctx.Err() != nil || now.Same(*told.Found)
}
