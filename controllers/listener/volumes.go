package listener

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// resolveVolumes looks at the claims: whether they are there, and whether several nodes
// can mount them. Without that the pods stay as they are.
func (s *scope) resolveVolumes(ctx context.Context) error {
	s.workload = true
	for _, v := range s.listener.Spec.Volumes {
		if v.EmptyDir != nil {
			continue
		}
		modes, err := s.accessModes(ctx, v)
		if err != nil {
			return err
		}
		if modes == nil {
			s.workload = false
			continue
		}
		if slices.Contains(modes, corev1.ReadWriteMany) || slices.Contains(modes, corev1.ReadOnlyMany) {
			continue
		}
		s.exclusive = true
		if s.replicas() > 1 {
			s.workload = false
			s.accepted = conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonVolumeNotShareable,
				fmt.Sprintf("replicas is %d, but the claim of volume %q is %v: one node alone can mount it; set replicas to 1 or use a ReadWriteMany claim",
					s.replicas(), v.Name, modes))
		}
	}
	return nil
}

// accessModes of a volume's claim, nil after noting that an existing claim is not there.
func (s *scope) accessModes(ctx context.Context, v v1alpha1.ListenerVolume) ([]corev1.PersistentVolumeAccessMode, error) {
	if v.ClaimTemplate != nil {
		return render.Claim(s.listener, v).Spec.AccessModes, nil
	}
	pvc := &corev1.PersistentVolumeClaim{}
	name := v.PersistentVolumeClaim.ClaimName
	err := s.Client.Get(ctx, types.NamespacedName{Namespace: s.listener.Namespace, Name: name}, pvc)
	if apierrors.IsNotFound(err) {
		s.unresolved(v1alpha1.ReasonVolumeClaimNotFound,
			fmt.Sprintf("PersistentVolumeClaim %q of volume %q does not exist in namespace %q; create it or correct spec.volumes", name, v.Name, s.listener.Namespace))
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read PersistentVolumeClaim %s: %w", name, err)
	}
	return pvc.Spec.AccessModes, nil
}

func (s *scope) replicas() int32 {
	if s.listener.Spec.Replicas == nil {
		return 1
	}
	return *s.listener.Spec.Replicas
}
