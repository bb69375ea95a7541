package status

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
)

// platformDefaults returns the platform defaults in effect: a claim keeps the storage class with which it was created, and a
// Service its class of load balancers.
func (in Input) platformDefaults() []v1alpha1.PlatformDefault {
	list := slices.Clone(in.Platform.Defaults)
	return slices.DeleteFunc(list, func(d v1alpha1.PlatformDefault) bool {
		for _, v := range in.Volumes.Volumes {
			if v.Live != nil && d.Field == platform.StorageClassField(v.Name) {
				return v.Live.Spec.StorageClassName == nil || *v.Live.Spec.StorageClassName != d.Value
			}
		}
		if svc := in.Workload.Service; svc != nil && d.Field == platform.LoadBalancerClassField {
			return svc.Spec.LoadBalancerClass == nil || *svc.Spec.LoadBalancerClass != d.Value
		}
		return false
	})
}
