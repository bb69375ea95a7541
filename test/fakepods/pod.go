// Package fakepods plays the pods of listeners where there is no kubelet: it creates the objects as the Deployment controller
// would, and answers like the daemon, with the daemon's own loader and health port.
package fakepods

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ReplicaSet returns the ReplicaSet of a Deployment, which it creates if there is none.
func ReplicaSet(ctx context.Context, api client.Client, d *appsv1.Deployment) (*appsv1.ReplicaSet, error) {
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace, Name: d.Name + "-" + string(d.UID[:8]), Labels: d.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Template: d.Spec.Template},
	}
	err := api.Create(ctx, rs)
	if apierrors.IsAlreadyExists(err) {
		err = api.Get(ctx, client.ObjectKeyFromObject(rs), rs)
	}
	if err != nil {
		return nil, fmt.Errorf("ReplicaSet of %s: %w", d.Name, err)
	}
	return rs, nil
}

// Create creates a pod of a Deployment. It has no address yet.
func Create(ctx context.Context, api client.Client, d *appsv1.Deployment, name string, change func(*corev1.Pod)) (*corev1.Pod, error) {
	rs, err := ReplicaSet(ctx, api, d)
	if err != nil {
		return nil, err
	}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace, Name: name, Labels: d.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "sftpd", Image: "played"}}},
	}
	if change != nil {
		change(p)
	}
	if err := api.Create(ctx, p); err != nil {
		return nil, fmt.Errorf("pod of %s: %w", d.Name, err)
	}
	return p, nil
}
