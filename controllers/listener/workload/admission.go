package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/rollout"
)

// admissionTTL is how long an admitted rollout counts while the caches do not show it.
const admissionTTL = time.Minute

// Admission lets rollouts begin one after another. Slots and queue are read from the cluster;
// its memory only bridges the time until the caches show what was done.
type Admission struct {
	// Reader reads from the caches.
	Reader client.Reader
	// Limit is how many listeners an upgrade of the operator rolls out at a time; 0 sets none.
	Limit int

	mu sync.Mutex
	// granted are the admitted rollouts, and at is the time of admission; mu guards both.
	granted rollout.Granted
	at      map[types.NamespacedName]time.Time
}

// admit reports whether a rollout of a listener to an image may begin, and how many are in progress.
func (p *Admission) admit(ctx context.Context, place rollout.Place, generation int64, image string, now time.Time) (ok bool, busy int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.observe(ctx, image, now)
	if err != nil {
		return false, 0, err
	}
	if !f.Admits(place, p.Limit) {
		return false, len(f.Busy), nil
	}
	if p.granted == nil {
		p.granted, p.at = rollout.Granted{}, map[types.NamespacedName]time.Time{}
	}
	p.granted[place.Name], p.at[place.Name] = generation, now
	return true, len(f.Busy), nil
}

// release takes back an unused admission.
func (p *Admission) release(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.granted, name)
	delete(p.at, name)
}

// observe summarizes what is in progress and what waits. It needs mu.
func (p *Admission) observe(ctx context.Context, image string, now time.Time) (rollout.Fleet, error) {
	for name, at := range p.at {
		if now.Sub(at).Abs() > admissionTTL {
			delete(p.granted, name)
			delete(p.at, name)
		}
	}
	var deployments appsv1.DeploymentList
	var listeners v1alpha1.SFTPListenerList
	// Both are only read, and there may be thousands.
	if err := p.Reader.List(ctx, &deployments, client.UnsafeDisableDeepCopy); err != nil {
		return rollout.Fleet{}, fmt.Errorf("list Deployments: %w", err)
	}
	if err := p.Reader.List(ctx, &listeners, client.UnsafeDisableDeepCopy); err != nil {
		return rollout.Fleet{}, fmt.Errorf("list listeners: %w", err)
	}
	return rollout.Observe(deployments.Items, listeners.Items, image, p.granted), nil
}

// Next returns the listeners that may begin when a rollout to an image is over.
func (p *Admission) Next(ctx context.Context, image string, now time.Time) ([]types.NamespacedName, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.observe(ctx, image, now)
	if err != nil {
		return nil, err
	}
	places := f.Next(p.Limit)
	out := make([]types.NamespacedName, 0, len(places))
	for _, place := range places {
		out = append(out, place.Name)
	}
	return out, nil
}
