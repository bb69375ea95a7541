package platform

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// applied is a copy of a listener that defaults are filled into.
type applied struct {
	*v1alpha1.SFTPListener
	defaults []v1alpha1.PlatformDefault
}

// apply returns a copy of a listener with the defaults for what it leaves open, and which these are.
func (p *Policy) apply(l *v1alpha1.SFTPListener) (*v1alpha1.SFTPListener, []v1alpha1.PlatformDefault) {
	a := &applied{SFTPListener: l.DeepCopy()}
	d := p.Defaults
	a.labels(d.Labels)
	service, pod := &a.Spec.Service, &a.Spec.Infrastructure.Pod
	for i := range a.Spec.Volumes {
		if t := a.Spec.Volumes[i].ClaimTemplate; t != nil {
			fill(a, StorageClassField(a.Spec.Volumes[i].Name), &t.StorageClassName, d.StorageClassName)
		}
	}
	if service.Type == v1alpha1.ServiceLoadBalancer {
		fill(a, LoadBalancerClassField, &service.LoadBalancerClass, d.LoadBalancerClass)
	}
	if len(service.IPFamilies) < 2 {
		fill(a, fieldIPFamilyPolicy, &service.IPFamilyPolicy, d.IPFamilyPolicy)
	}
	fill(a, fieldPullPolicy, &pod.ImagePullPolicy, d.ImagePullPolicy)
	fill(a, fieldFSGroup, &pod.FSGroupPolicy, d.FSGroupPolicy)
	fill(a, fieldPriorityClass, &pod.PriorityClassName, d.PriorityClassName)
	fill(a, fieldRuntimeClass, &pod.RuntimeClassName, d.RuntimeClassName)
	if len(pod.ImagePullSecrets) == 0 && len(d.ImagePullSecrets) > 0 {
		for _, name := range d.ImagePullSecrets {
			pod.ImagePullSecrets = append(pod.ImagePullSecrets, v1alpha1.LocalSecretReference{Name: name})
		}
		a.note("spec.infrastructure.pod.imagePullSecrets", strings.Join(d.ImagePullSecrets, ", "))
	}
	if len(pod.NodeSelector) == 0 && len(d.NodeSelector) > 0 {
		pod.NodeSelector = maps.Clone(d.NodeSelector)
		a.note("spec.infrastructure.pod.nodeSelector", text(d.NodeSelector))
	}
	if len(pod.Tolerations) == 0 && len(d.Tolerations) > 0 {
		pod.Tolerations = slices.Clone(d.Tolerations)
		a.note(fieldTolerations, text(d.Tolerations))
	}
	if pod.Resources == nil && d.Resources != nil {
		pod.Resources = d.Resources.DeepCopy()
		a.note(fieldResources, text(d.Resources))
	}
	return a.SFTPListener, a.defaults
}

// labels adds those that the listener does not have.
func (a *applied) labels(given map[string]string) {
	added := map[string]string{}
	for k, v := range given {
		if _, has := a.Spec.Infrastructure.Labels[k]; !has {
			added[k] = v
		}
	}
	if len(added) == 0 {
		return
	}
	if a.Spec.Infrastructure.Labels == nil {
		a.Spec.Infrastructure.Labels = map[string]string{}
	}
	maps.Copy(a.Spec.Infrastructure.Labels, added)
	a.note("spec.infrastructure.labels", text(added))
}

// fill sets a field that is empty.
func fill[T ~string](a *applied, field string, of *T, value T) {
	if *of == "" && value != "" {
		*of = value
		a.note(field, string(value))
	}
}

// maxValue bounds a value in the status, in bytes.
const maxValue = 256

func (a *applied) note(field, value string) {
	if len(value) > maxValue {
		value = strings.ToValidUTF8(value[:maxValue-3], "") + "..."
	}
	a.defaults = append(a.defaults, v1alpha1.PlatformDefault{Field: field, Value: value})
}

// text returns a value in one line.
func text(v any) string {
	data, err := yaml.Marshal(v)
	if err == nil {
		data, err = yaml.YAMLToJSON(data)
	}
	if err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(string(data))
}

// LoadBalancerClassField is the field with the class of the load balancer.
const LoadBalancerClassField = "spec.service.loadBalancerClass"

// The other fields that have rules.
const (
	fieldServiceType    = "spec.service.type"
	fieldIPFamilyPolicy = "spec.service.ipFamilyPolicy"
	fieldPullPolicy     = "spec.infrastructure.pod.imagePullPolicy"
	fieldFSGroup        = "spec.infrastructure.pod.fsGroupPolicy"
	fieldPriorityClass  = "spec.infrastructure.pod.priorityClassName"
	fieldRuntimeClass   = "spec.infrastructure.pod.runtimeClassName"
	fieldScheduler      = "spec.infrastructure.pod.schedulerName"
	fieldGroups         = "spec.infrastructure.pod.supplementalGroups"
	fieldTolerations    = "spec.infrastructure.pod.tolerations"
	fieldResources      = "spec.infrastructure.pod.resources"
	fieldCryptoPolicy   = "spec.cryptoPolicy"
	fieldCryptoEnd      = "spec.cryptoPolicyExpirationTime"
	fieldTracing        = "spec.tracing.endpoint"
)

// StorageClassField returns the field with the storage class of a volume.
func StorageClassField(volume string) string {
	return "spec.volumes[" + volume + "].claimTemplate.storageClassName"
}

// RetentionField returns a field of a retention rule.
func RetentionField(rule, field string) string { return "spec.retention.rules[" + rule + "]." + field }
