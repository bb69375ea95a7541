// Package volumes determines whether the volumes of a listener can be mounted in its pods.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Volume is a volume of a listener that uses a claim.
type Volume struct {
	// Name is its name in the listener, Claim that of the PersistentVolumeClaim.
	Name, Claim string
	// FromTemplate is set if the operator creates the claim.
	FromTemplate bool
	// Live is the current claim, nil if there is none. It must not be changed.
	Live *corev1.PersistentVolumeClaim
	// Err is why the claim could not be read.
	Err error
}

// Problem is something that the listener's owner must fix.
type Problem struct {
	Volume, Reason, Message string
}

// Result describes a listener's volumes.
type Result struct {
	// Volumes are those on claims, in the order of the spec.
	Volumes []Volume
	// Exclusive is set if only one node can mount a volume: a new pod must then wait until the
	// old one has ended.
	Exclusive bool
	// Mountable is set if new pods can mount all volumes. Claims that the operator creates
	// count as mountable: whether they could be created is known later.
	Mountable bool
	// Problems are in the order of the spec.
	Problems []Problem
	// Err joins the errors of claims that could not be read. They only affect the pods.
	Err error
}

// Resolve reads the claims of a listener and evaluates them.
func Resolve(ctx context.Context, r client.Reader, l *v1alpha1.SFTPListener) Result {
	var found []Volume
	for _, v := range l.Spec.Volumes {
		if v.EmptyDir != nil {
			continue
		}
		is := Volume{Name: v.Name, FromTemplate: v.ClaimTemplate != nil, Claim: attach.ClaimName(l, v.Name)}
		if v.PersistentVolumeClaim != nil {
			is.Claim = v.PersistentVolumeClaim.ClaimName
		}
		is.Live, is.Err = read(ctx, r, types.NamespacedName{Namespace: l.Namespace, Name: is.Claim})
		found = append(found, is)
	}
	return Decide(l, found)
}

// read returns a claim, nil if there is none. A stale cache does no harm: the claim's event
// triggers the next reconcile.
func read(ctx context.Context, r client.Reader, name types.NamespacedName) (*corev1.PersistentVolumeClaim, error) {
	pvc := &corev1.PersistentVolumeClaim{}
	err := r.Get(ctx, name, pvc)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read PersistentVolumeClaim %s: %w", name.Name, err)
	}
	return pvc, nil
}

// Decide evaluates the claims.
func Decide(l *v1alpha1.SFTPListener, found []Volume) Result {
	r := Result{Volumes: found, Mountable: true}
	problem := func(v Volume, reason, format string, args ...any) {
		r.Mountable = false
		r.Problems = append(r.Problems, Problem{Volume: v.Name, Reason: reason, Message: fmt.Sprintf(format, args...)})
	}
	for _, v := range found {
		switch {
		case v.Err != nil:
			r.Mountable = false
			r.Err = errors.Join(r.Err, v.Err)
			continue
		case v.Live == nil && !v.FromTemplate:
			problem(v, v1alpha1.ReasonVolumeClaimNotFound, "PersistentVolumeClaim %q of volume %q does not exist in namespace %q; create it or correct spec.volumes",
				v.Claim, v.Name, l.Namespace)
			continue
		case v.Live != nil && v.Live.DeletionTimestamp != nil:
			// The pods that have it keep it; the scheduler places no new ones.
			problem(v, v1alpha1.ReasonVolumeClaimNotFound, "PersistentVolumeClaim %q of volume %q is being deleted and disappears once no pod uses it; remove the volume from spec.volumes, "+
				"or set replicas to 0 until the claim is gone and recreate it", v.Claim, v.Name)
		}
		modes := accessModes(l, v)
		if slices.Contains(modes, corev1.ReadWriteMany) || slices.Contains(modes, corev1.ReadOnlyMany) {
			continue
		}
		r.Exclusive = true
		if n := Replicas(l); n > 1 {
			problem(v, v1alpha1.ReasonVolumeNotShareable, "replicas is %d, but the claim of volume %q is %v, which only one node can mount; set replicas to 1 or use a ReadWriteMany claim",
				n, v.Name, modes)
		}
	}
	return r
}

// accessModes returns the access modes of an existing claim, otherwise those that the operator will request.
func accessModes(l *v1alpha1.SFTPListener, v Volume) []corev1.PersistentVolumeAccessMode {
	if v.Live != nil {
		return v.Live.Spec.AccessModes
	}
	for _, of := range l.Spec.Volumes {
		if of.Name == v.Name && of.ClaimTemplate != nil {
			return render.Claim(l, of).Spec.AccessModes
		}
	}
	return nil
}

// Replicas returns the number of pods that a listener wants.
func Replicas(l *v1alpha1.SFTPListener) int32 {
	if l.Spec.Replicas == nil {
		return 1
	}
	return *l.Spec.Replicas
}
