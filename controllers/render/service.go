package render

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// defaultPort is the Service's port unless the listener sets one.
const defaultPort = 22

// Service returns the Service of a listener.
func Service(l *v1alpha1.SFTPListener) *corev1.Service {
	in := l.Spec.Service
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: workloadMeta(l, WorkloadName(l)),
		Spec: corev1.ServiceSpec{
			Type:     serviceType(l),
			Selector: Selector(l),
			Ports: []corev1.ServicePort{{
				Name:       "sftp",
				Protocol:   corev1.ProtocolTCP,
				Port:       ServicePort(l),
				TargetPort: intstr.FromString("sftp"),
			}},
		},
	}
	if len(in.Annotations) > 0 {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		maps.Copy(s.Annotations, ownersKeys(in.Annotations))
	}
	distribute(in, &s.Spec)
	if s.Spec.Type == corev1.ServiceTypeClusterIP {
		return s
	}
	if in.NodePort != nil {
		s.Spec.Ports[0].NodePort = *in.NodePort
	}
	s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	if in.ExternalTrafficPolicy != "" {
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicy(in.ExternalTrafficPolicy)
	}
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		s.Spec.LoadBalancerSourceRanges = in.LoadBalancerSourceRanges
		if in.LoadBalancerClass != "" {
			s.Spec.LoadBalancerClass = &in.LoadBalancerClass
		}
		if in.LoadBalancerNodePorts != "" {
			s.Spec.AllocateLoadBalancerNodePorts = new(in.LoadBalancerNodePorts == v1alpha1.NodePortsAllocate)
		}
	}
	return s
}

// distribute configures the Service's IP families and how it distributes connections, whatever its type.
func distribute(in v1alpha1.ListenerService, s *corev1.ServiceSpec) {
	if in.IPFamilyPolicy != "" {
		s.IPFamilyPolicy = new(corev1.IPFamilyPolicy(in.IPFamilyPolicy))
	}
	for _, f := range in.IPFamilies {
		s.IPFamilies = append(s.IPFamilies, corev1.IPFamily(f))
	}
	if in.AppProtocol != "" {
		s.Ports[0].AppProtocol = &in.AppProtocol
	}
	if in.TrafficDistribution != "" {
		s.TrafficDistribution = new(string(in.TrafficDistribution))
	}
	s.SessionAffinity = corev1.ServiceAffinity(in.SessionAffinity)
	if in.SessionAffinityTimeoutSeconds != nil {
		s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: in.SessionAffinityTimeoutSeconds}}
	}
}

func serviceType(l *v1alpha1.SFTPListener) corev1.ServiceType {
	if l.Spec.Service.Type == "" {
		return corev1.ServiceTypeClusterIP
	}
	return corev1.ServiceType(l.Spec.Service.Type)
}

// ServicePort returns the port of a listener's Service.
func ServicePort(l *v1alpha1.SFTPListener) int32 {
	if l.Spec.Service.Port == nil {
		return defaultPort
	}
	return *l.Spec.Service.Port
}
