package rollout

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// completeReason is the reason of a Deployment's condition Progressing once all pods run
// its current template and are available. It stays when pods fail later. See
// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#complete-deployment
const completeReason = "NewReplicaSetAvailable"

// revisionAnnotation is how often a Deployment's template has changed, as its controller counts.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// Rolling reports whether not all of a Deployment's pods run its current template yet.
func Rolling(d *appsv1.Deployment) bool {
	if d.Status.ObservedGeneration < d.Generation {
		return true
	}
	p := progressing(d)
	return p == nil || p.Status != corev1.ConditionTrue || p.Reason != completeReason || ending(d)
}

// ending reports whether the pods of the previous template are terminating and the new ones do
// not exist yet, as with Recreate: then the condition still describes the old ones.
func ending(d *appsv1.Deployment) bool {
	r, ok := Read(d)
	return ok && r.After != "" && d.Annotations[revisionAnnotation] == r.After &&
		d.Spec.Replicas != nil && d.Status.UpdatedReplicas < *d.Spec.Replicas
}

// Stuck reports whether a rollout has made no progress for the Deployment's
// progressDeadlineSeconds, ten minutes by default.
func Stuck(d *appsv1.Deployment) bool {
	p := progressing(d)
	return d.Status.ObservedGeneration >= d.Generation && p != nil && p.Status == corev1.ConditionFalse
}

func progressing(d *appsv1.Deployment) *appsv1.DeploymentCondition {
	for i := range d.Status.Conditions {
		if d.Status.Conditions[i].Type == appsv1.DeploymentProgressing {
			return &d.Status.Conditions[i]
		}
	}
	return nil
}

// Unavailable reports whether a Deployment has no pod that serves. Its rollout disturbs no
// user, and may fix it.
func Unavailable(d *appsv1.Deployment) bool {
	return d.Status.ObservedGeneration >= d.Generation && d.Status.AvailableReplicas == 0
}

// takesTurn reports whether a Deployment's rollout takes one of the slots: it came with the
// operator's version, and with the current one. Deployments that were broken before do not
// count.
func takesTurn(d *appsv1.Deployment, image string) bool {
	r, ok := Read(d)
	return ok && r.Cause == Operator && imageOf(d) == image && Rolling(d)
}

// imageOf returns the daemon's image. A manually added container may come before it.
func imageOf(d *appsv1.Deployment) string {
	if c := daemon(&d.Spec.Template.Spec); c != nil {
		return c.Image
	}
	return ""
}

func daemon(spec *corev1.PodSpec) *corev1.Container {
	for i := range spec.Containers {
		if spec.Containers[i].Name == render.ContainerName {
			return &spec.Containers[i]
		}
	}
	return nil
}

// Place is a listener's place in the queue.
type Place struct {
	Name  types.NamespacedName
	Since time.Time
}

func (p Place) compare(o Place) int {
	return cmp.Or(p.Since.Compare(o.Since), cmp.Compare(p.Name.Namespace, o.Name.Namespace), cmp.Compare(p.Name.Name, o.Name.Name))
}

// Granted are the generations of Deployments when a rollout was admitted. They count until
// the caches show a newer one.
type Granted map[types.NamespacedName]int64

// Fleet is what is in progress and what waits.
type Fleet struct {
	// Busy are the rollouts that take a slot, by listener.
	Busy map[types.NamespacedName]bool
	// Queue has the waiting listeners in order.
	Queue []Place
}

// Observe sums up all listeners and their Deployments. image is the current one.
//
// A stuck rollout keeps its slot until the image has worked somewhere: so the rollout of a
// version that does not start stops automatically. Once the image runs somewhere, a stuck
// rollout has its own reasons, and must not keep the others from an upgrade.
func Observe(deployments []appsv1.Deployment, listeners []v1alpha1.SFTPListener, image string, granted Granted) Fleet {
	f := Fleet{Busy: map[types.NamespacedName]bool{}}
	proven := false
	for i := range deployments {
		d := &deployments[i]
		if isRelay(d) {
			continue
		}
		proven = proven || imageOf(d) == image && !Rolling(d) && d.Status.AvailableReplicas > 0
	}
	exists := make(map[types.NamespacedName]bool, len(listeners))
	for i := range listeners {
		exists[types.NamespacedName{Namespace: listeners[i].Namespace, Name: listeners[i].Name}] = true
	}
	for i := range deployments {
		d := &deployments[i]
		name := types.NamespacedName{Namespace: d.Namespace, Name: d.Labels[v1alpha1.LabelListener]}
		if isRelay(d) {
			continue
		}
		if !exists[name] {
			continue // it will be garbage-collected
		}
		if generation, ok := granted[name]; ok && d.Generation <= generation {
			f.Busy[name] = true
		} else if takesTurn(d, image) && (!proven || !Stuck(d)) {
			f.Busy[name] = true
		}
	}
	for i := range listeners {
		l := &listeners[i]
		name := types.NamespacedName{Namespace: l.Namespace, Name: l.Name}
		if queued(l) && !f.Busy[name] {
			f.Queue = append(f.Queue, Place{Name: name, Since: l.Status.PendingRestart.Since.Time})
		}
	}
	slices.SortFunc(f.Queue, Place.compare)
	return f
}

// isRelay reports whether a Deployment is that of a relay. No client is connected to it, so it needs no turn.
func isRelay(d *appsv1.Deployment) bool { return d.Labels[v1alpha1.LabelRelay] != "" }

// queued reports whether a listener waits for its turn. One that no longer asks must not
// block the others.
func queued(l *v1alpha1.SFTPListener) bool {
	p := l.Status.PendingRestart
	return p != nil && p.Reason == v1alpha1.ReasonRolloutQueued && l.DeletionTimestamp.IsZero() &&
		l.Annotations[v1alpha1.AnnotationPaused] != "true" && l.Spec.Infrastructure.Rollout != v1alpha1.RolloutPaused
}

// Admits reports whether a rollout may begin, with at most limit at a time; 0 sets no limit.
func (f Fleet) Admits(p Place, limit int) bool {
	if limit <= 0 || f.Busy[p.Name] {
		return true
	}
	ahead := 0
	for _, q := range f.Queue {
		if q.Name != p.Name && q.compare(p) < 0 {
			ahead++
		}
	}
	return len(f.Busy)+ahead < limit
}

// Next returns the listeners that may begin now.
func (f Fleet) Next(limit int) []Place {
	return f.Queue[:min(len(f.Queue), max(limit-len(f.Busy), 0))]
}
