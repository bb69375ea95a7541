package listener

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/rollout"
)

// grantTime is how long an admitted roll-out counts that the caches do not show.
const grantTime = time.Minute

// pacer lets roll-outs begin one after another. Slots and queue are read from the cluster;
// what it remembers itself only bridges the time until the caches show what was done.
type pacer struct {
	mu sync.Mutex
	// granted roll-outs and when; mu protects both.
	granted rollout.Granted
	at      map[types.NamespacedName]time.Time
}

// admit says whether a roll-out of a listener may begin, and how many are under way.
func (p *pacer) admit(ctx context.Context, r *Reconciler, place rollout.Place, generation int64, now time.Time) (ok bool, busy int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.observe(ctx, r, now)
	if err != nil {
		return false, 0, err
	}
	if !f.Admits(place, r.MaxConcurrentRollouts) {
		return false, len(f.Busy), nil
	}
	if p.granted == nil {
		p.granted, p.at = rollout.Granted{}, map[types.NamespacedName]time.Time{}
	}
	p.granted[place.Name], p.at[place.Name] = generation, now
	return true, len(f.Busy), nil
}

// release takes an admission back that came to nothing.
func (p *pacer) release(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.granted, name)
	delete(p.at, name)
}

// observe needs mu.
func (p *pacer) observe(ctx context.Context, r *Reconciler, now time.Time) (rollout.Fleet, error) {
	for name, at := range p.at {
		if now.Sub(at).Abs() > grantTime {
			delete(p.granted, name)
			delete(p.at, name)
		}
	}
	var deployments appsv1.DeploymentList
	var listeners v1alpha1.SFTPListenerList
	// Both are only read, and there may be thousands.
	if err := r.Client.List(ctx, &deployments, client.UnsafeDisableDeepCopy); err != nil {
		return rollout.Fleet{}, fmt.Errorf("list Deployments: %w", err)
	}
	if err := r.Client.List(ctx, &listeners, client.UnsafeDisableDeepCopy); err != nil {
		return rollout.Fleet{}, fmt.Errorf("list listeners: %w", err)
	}
	return rollout.Observe(deployments.Items, listeners.Items, r.Image, p.granted), nil
}

// nextInQueue are the listeners that may go when a roll-out is over.
func (r *Reconciler) nextInQueue(ctx context.Context, _ client.Object) []reconcile.Request {
	r.pace.mu.Lock()
	f, err := r.pace.observe(ctx, r, r.Now())
	r.pace.mu.Unlock()
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot tell whose roll-out is next")
		return nil
	}
	var out []reconcile.Request
	for _, p := range f.Next(r.MaxConcurrentRollouts) {
		out = append(out, reconcile.Request{NamespacedName: p.Name})
	}
	return out
}

// rolloutChanged passes on the beginning and the end of roll-outs.
func rolloutChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*appsv1.Deployment)
		after, ok2 := e.ObjectNew.(*appsv1.Deployment)
		return ok1 && ok2 && (rollout.Rolling(before) != rollout.Rolling(after) || rollout.Stuck(before) != rollout.Stuck(after))
	}}
}

// rolloutEnded passes on what may free a slot.
func rolloutEnded() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*appsv1.Deployment)
			after, ok2 := e.ObjectNew.(*appsv1.Deployment)
			return ok1 && ok2 && (rollout.Rolling(before) && !rollout.Rolling(after) || !rollout.Stuck(before) && rollout.Stuck(after))
		},
	}
}
