package drift

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// deploymentSpec returns the wanted spec with the API server's defaults for unset fields
// (k8s.io/kubernetes/pkg/apis/apps/v1/defaults.go and core/v1/defaults.go). It only has
// those of fields that the operator leaves unset.
func deploymentSpec(want, live appsv1.DeploymentSpec) appsv1.DeploymentSpec {
	out := *want.DeepCopy()
	orDefault(&out.Replicas, 1)
	orDefault(&out.RevisionHistoryLimit, 10)
	orDefault(&out.ProgressDeadlineSeconds, 600)
	if out.Strategy.Type == "" {
		out.Strategy.Type = appsv1.RollingUpdateDeploymentStrategyType
	}
	if out.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		if out.Strategy.RollingUpdate == nil {
			out.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{}
		}
		orDefault(&out.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
		orDefault(&out.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
	}
	podDefaults(&out.Template.Spec)
	for i := range out.Template.Spec.Containers {
		containerDefaults(&out.Template.Spec.Containers[i], live.Template.Spec.Containers)
	}
	return out
}

func podDefaults(s *corev1.PodSpec) {
	if s.RestartPolicy == "" {
		s.RestartPolicy = corev1.RestartPolicyAlways
	}
	if s.DNSPolicy == "" {
		s.DNSPolicy = corev1.DNSClusterFirst
	}
	if s.SchedulerName == "" {
		s.SchedulerName = corev1.DefaultSchedulerName
	}
	if s.SecurityContext == nil {
		s.SecurityContext = &corev1.PodSecurityContext{}
	}
	orDefault(&s.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	s.DeprecatedServiceAccount = s.ServiceAccountName
}

func containerDefaults(c *corev1.Container, live []corev1.Container) {
	if c.TerminationMessagePath == "" {
		c.TerminationMessagePath = corev1.TerminationMessagePathDefault
	}
	if c.TerminationMessagePolicy == "" {
		c.TerminationMessagePolicy = corev1.TerminationMessageReadFile
	}
	if c.ImagePullPolicy == "" {
		// It depends on the image's tag. Both of these run the named image.
		c.ImagePullPolicy = corev1.PullIfNotPresent
		for i := range live {
			if live[i].Name == c.Name && live[i].ImagePullPolicy == corev1.PullAlways {
				c.ImagePullPolicy = corev1.PullAlways
			}
		}
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if p == nil {
			continue
		}
		p.TimeoutSeconds = max(p.TimeoutSeconds, 1)
		p.SuccessThreshold = max(p.SuccessThreshold, 1)
		if p.PeriodSeconds == 0 {
			p.PeriodSeconds = 10
		}
		if p.FailureThreshold == 0 {
			p.FailureThreshold = 3
		}
		if p.HTTPGet != nil && p.HTTPGet.Scheme == "" {
			p.HTTPGet.Scheme = corev1.URISchemeHTTP
		}
	}
}

// serviceSpec returns the wanted spec with what a cluster assigns: addresses, node ports,
// and the class of a load balancer, which the controllers of some clouds set.
func serviceSpec(want, live corev1.ServiceSpec) corev1.ServiceSpec {
	out := *want.DeepCopy()
	out.ClusterIP, out.ClusterIPs = live.ClusterIP, live.ClusterIPs
	out.IPFamilies, out.IPFamilyPolicy = orElse(out.IPFamilies, live.IPFamilies), firstOf(out.IPFamilyPolicy, live.IPFamilyPolicy)
	out.HealthCheckNodePort = live.HealthCheckNodePort
	out.LoadBalancerClass = firstOf(out.LoadBalancerClass, live.LoadBalancerClass)
	orDefault(&out.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	if out.SessionAffinity == "" {
		out.SessionAffinity = corev1.ServiceAffinityNone
	}
	switch out.Type {
	case corev1.ServiceTypeLoadBalancer:
		orDefault(&out.AllocateLoadBalancerNodePorts, true)
	case corev1.ServiceTypeNodePort, corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName:
	}
	for i := range out.Ports {
		for _, p := range live.Ports {
			if out.Type != corev1.ServiceTypeClusterIP && p.Name == out.Ports[i].Name && out.Ports[i].NodePort == 0 {
				out.Ports[i].NodePort = p.NodePort
			}
		}
	}
	return out
}

func orDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func firstOf[T any](wanted, live *T) *T {
	if wanted != nil {
		return wanted
	}
	return live
}

func orElse[T any](wanted, live []T) []T {
	if len(wanted) > 0 {
		return wanted
	}
	return live
}
