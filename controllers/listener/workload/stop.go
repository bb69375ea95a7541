package workload

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Stop terminates the pods of a listener whose namespace is being deleted. Sessions get the same time as when a pod terminates
// for any other reason.
//
// The namespace controller deletes pods five seconds after the namespace, and checks again five seconds later. If one still
// exists then, it waits for half of the largest terminationGracePeriodSeconds that it has seen: 160 seconds, although a pod
// without sessions is gone in six (measured on 2026-11-28). Pods that begin to terminate with the namespace are gone in time.
func (w *Workload) Stop(ctx context.Context, l *v1alpha1.SFTPListener) error {
	live := &appsv1.Deployment{}
	err := w.Client.Get(ctx, types.NamespacedName{Namespace: l.Namespace, Name: render.WorkloadName(l)}, live)
	if err != nil || !metav1.IsControlledBy(live, l) || replicasOf(live) == 0 {
		return client.IgnoreNotFound(err)
	}
	after := live.DeepCopy()
	after.Spec.Replicas = new(int32(0))
	if err := w.Client.Patch(ctx, after, client.MergeFrom(live), client.FieldOwner(apply.FieldOwner)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("stop the pods of Deployment %s: %w", live.Name, err))
	}
	return nil
}
