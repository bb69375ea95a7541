package workload

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/sftp-operator/sftp-operator/controllers/rollout"
)

// RolloutChanged passes changes in the beginning and end of rollouts, how many pods there are, and whether they can be
// created.
func RolloutChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*appsv1.Deployment)
		after, ok2 := e.ObjectNew.(*appsv1.Deployment)
		return ok1 && ok2 && (rollout.Rolling(before) != rollout.Rolling(after) || rollout.Stuck(before) != rollout.Stuck(after) ||
			before.Status.Replicas != after.Status.Replicas || judge(before).PodsRefused != judge(after).PodsRefused)
	}}
}

// RolloutEnded passes changes that may free a slot.
func RolloutEnded() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*appsv1.Deployment)
			after, ok2 := e.ObjectNew.(*appsv1.Deployment)
			return ok1 && ok2 && (rollout.Rolling(before) && !rollout.Rolling(after) || !rollout.Stuck(before) && rollout.Stuck(after))
		},
	}
}

// CapacityChanged passes changes where a claim was enlarged or is being deleted.
func CapacityChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*corev1.PersistentVolumeClaim)
		after, ok2 := e.ObjectNew.(*corev1.PersistentVolumeClaim)
		return ok1 && ok2 && (!before.Status.Capacity.Storage().Equal(*after.Status.Capacity.Storage()) ||
			!before.Spec.Resources.Requests.Storage().Equal(*after.Spec.Resources.Requests.Storage()) ||
			before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero())
	}}
}
