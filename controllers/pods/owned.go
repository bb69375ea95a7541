// Package pods finds the pods of a listener.
package pods

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments;replicasets,verbs=get;list;watch

// replicaSets is the kind for listing the metadata of ReplicaSets.
var replicaSets = appsv1.SchemeGroupVersion.WithKind("ReplicaSetList")

// Owned returns the pods that the Deployment of a listener owns. The Deployment is controlled
// by the listener, its ReplicaSets by the Deployment and the pods by one of these, each by
// UID. Labels only narrow the search: anyone who may create a pod can give it any label. Those
// who may create pods in the listener's namespace can also name its ReplicaSet as the owner,
// which then adopts or deletes them; what such a pod answers does not count, because it cannot
// prove it.
//
// It only reads caches, which may lack an object that was just created. The pods are the
// cache's: callers must not change them.
func Owned(ctx context.Context, caches client.Reader, l *v1alpha1.SFTPListener) ([]*corev1.Pod, error) {
	var d appsv1.Deployment
	name := types.NamespacedName{Namespace: l.Namespace, Name: render.WorkloadName(l)}
	// They are only read: copying them would cost more than asking the pods.
	if err := client.IgnoreNotFound(caches.Get(ctx, name, &d, client.UnsafeDisableDeepCopy)); err != nil {
		return nil, fmt.Errorf("get Deployment: %w", err)
	}
	if l.UID == "" || d.UID == "" || !metav1.IsControlledBy(&d, l) {
		return nil, nil
	}
	own := []client.ListOption{
		client.InNamespace(l.Namespace), client.MatchingLabels{v1alpha1.LabelListener: l.Name}, client.UnsafeDisableDeepCopy,
	}
	var sets metav1.PartialObjectMetadataList
	sets.SetGroupVersionKind(replicaSets)
	if err := caches.List(ctx, &sets, own...); err != nil {
		return nil, fmt.Errorf("list ReplicaSets: %w", err)
	}
	owners := make(map[types.UID]bool, len(sets.Items))
	for i := range sets.Items {
		if s := &sets.Items[i]; s.UID != "" && controlledBy(s, "Deployment", d.UID) {
			owners[s.UID] = true
		}
	}
	var list corev1.PodList
	if err := caches.List(ctx, &list, own...); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	var out []*corev1.Pod
	for i := range list.Items {
		p := &list.Items[i]
		if o := metav1.GetControllerOfNoCopy(p); o != nil && o.Kind == "ReplicaSet" && owners[o.UID] {
			out = append(out, p)
		}
	}
	return out, nil
}

func controlledBy(o metav1.Object, kind string, uid types.UID) bool {
	c := metav1.GetControllerOfNoCopy(o)
	return c != nil && c.Kind == kind && c.UID == uid
}
