package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// applyClaim applies the claim of a volume with a claimTemplate. A refused claim blocks the
// pods only if it does not exist, because they could not start without it.
func (r *run) applyClaim(ctx context.Context, v v1alpha1.ListenerVolume) {
	l := r.in.Listener
	live := liveClaim(r.in.Volumes, v.Name)
	want := render.Claim(l, v)
	if live != nil && leavesClassOpen(r.in.Written, v.Name) {
		want.Spec.StorageClassName = live.Spec.StorageClassName // it cannot change, but the platform's default may
	}
	if size := sizeOf(want, live); size.Cmp(v.ClaimTemplate.Storage) > 0 {
		r.out.SmallerClaims = append(r.out.SmallerClaims, SmallerClaim{
			Volume: v.Name, Claim: want.Name, Wanted: v.ClaimTemplate.Storage.String(), Actual: size.String(),
		})
		want.Spec.Resources.Requests[corev1.ResourceStorage] = size
	}
	ok := r.step(ctx, "PersistentVolumeClaim", want.Name, func(ctx context.Context) error {
		if l.Spec.VolumeClaimRetention == v1alpha1.Delete {
			_, err := r.handle.Apply(ctx, want)
			return err
		}
		_, err := r.handle.ApplyKept(ctx, want)
		return err
	})
	if !ok && (live == nil || r.handle.Check(ctx, live) != nil) {
		r.missing[want.Name] = true
	}
}

// leavesClassOpen reports whether the owner of a listener names no storage class for a volume.
func leavesClassOpen(l *v1alpha1.SFTPListener, volume string) bool {
	for _, v := range l.Spec.Volumes {
		if v.Name == volume && v.ClaimTemplate != nil {
			return v.ClaimTemplate.StorageClassName == ""
		}
	}
	return false
}

// sizeOf returns the size to ask for: that of the spec, but never less than the claim asks for
// or has. A claim cannot shrink, and one that was enlarged in an emergency, manually or by an
// autoscaler, must not block everything else of the listener.
func sizeOf(want, live *corev1.PersistentVolumeClaim) resource.Quantity {
	size := want.Spec.Resources.Requests[corev1.ResourceStorage]
	if live == nil {
		return size
	}
	for _, list := range []corev1.ResourceList{live.Spec.Resources.Requests, live.Status.Capacity} {
		if has, ok := list[corev1.ResourceStorage]; ok && has.Cmp(size) > 0 {
			size = has
		}
	}
	return size
}

func liveClaim(found volumes.Result, volume string) *corev1.PersistentVolumeClaim {
	for _, v := range found.Volumes {
		if v.Name == volume {
			return v.Live
		}
	}
	return nil
}

// held returns why new pods could not start, "" if they could.
func (r *run) held() string {
	switch {
	case r.in.Refusal != "":
		return "the platform does not allow the spec (see the condition Accepted)"
	case r.in.Volumes.Err != nil:
		return "the claims of its volumes cannot be read"
	case len(r.in.Volumes.Problems) > 0:
		return r.in.Volumes.Problems[0].Message
	case !r.in.Volumes.Mountable:
		return "its volumes cannot be mounted"
	}
	for _, v := range r.in.Volumes.Volumes {
		if r.missing[v.Claim] {
			return fmt.Sprintf("PersistentVolumeClaim %q of volume %q could not be created", v.Claim, v.Name)
		}
	}
	return ""
}
