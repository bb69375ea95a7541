package render

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// relayConfigDir is where a relay finds its configuration.
const relayConfigDir = "/etc/sftp-relay"

// annotationRelayConfig, on the pods of a relay, identifies their configuration: a relay reads it once, and is replaced when it
// changes. Its value is not a plain checksum, from which a weak token could be guessed.
const annotationRelayConfig = ownPrefix + "relay-config"

// RelayName returns the name of the Deployment, ServiceAccount, Secret, NetworkPolicy and Service of a listener's relay.
func RelayName(l *v1alpha1.SFTPListener) string { return WorkloadName(l) + "-relay" }

// PodsServiceName returns the name of the headless Service that has the addresses of a listener's pods.
func PodsServiceName(l *v1alpha1.SFTPListener) string { return WorkloadName(l) + "-pods" }

// PodsHost returns the DNS name of a listener's pods.
func PodsHost(l *v1alpha1.SFTPListener) string {
	return PodsServiceName(l) + "." + l.Namespace + ".svc"
}

// relaySelector selects the pods of a relay. They do not have the label of the listener's pods, which Services,
// Deployments and the operator select.
func relaySelector(l *v1alpha1.SFTPListener) map[string]string {
	return map[string]string{v1alpha1.LabelRelay: l.Name}
}

// relayMeta returns the metadata of an object of a relay.
func relayMeta(l *v1alpha1.SFTPListener, name string) metav1.ObjectMeta {
	m := plainMeta(l, name)
	m.Labels[labelComponent] = "relay"
	m.Labels[v1alpha1.LabelRelay] = l.Name
	return m
}

// RelayAccount returns the account of a relay's pods. It has no permissions and no token.
func RelayAccount(l *v1alpha1.SFTPListener) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   relayMeta(l, RelayName(l)),
		AutomountServiceAccountToken: new(false),
	}
}

// RelaySecret returns the Secret with a relay's configuration.
func RelaySecret(l *v1alpha1.SFTPListener, config []byte) *corev1.Secret {
	s := Secret(l, RelayName(l), map[string][]byte{delivery.ConfigFile: config})
	s.ObjectMeta = relayMeta(l, RelayName(l))
	return s
}

// PodsService returns the headless Service that a relay uses to find the listener's pods: also those that are not ready or are
// terminating, whose events have to be delivered as well.
func PodsService(l *v1alpha1.SFTPListener) *corev1.Service {
	s := relayService(l, PodsServiceName(l), Selector(l))
	s.Spec.ClusterIP, s.Spec.PublishNotReadyAddresses = corev1.ClusterIPNone, true
	return s
}

// RelayService returns the Service of a relay's status port, where the operator asks for its state.
func RelayService(l *v1alpha1.SFTPListener) *corev1.Service {
	return relayService(l, RelayName(l), relaySelector(l))
}

func relayService(l *v1alpha1.SFTPListener, name string, selector map[string]string) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: relayMeta(l, name),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, Selector: selector,
			Ports: []corev1.ServicePort{{Name: "health", Protocol: corev1.ProtocolTCP, Port: HealthPort, TargetPort: intstr.FromString("health")}},
		},
	}
}

// RelayDeployment returns the Deployment of a relay. One pod is enough: it keeps nothing, and is replaced before another one
// starts, so that no event is sent twice because of it.
func RelayDeployment(l *v1alpha1.SFTPListener, image string, config []byte, key string) *appsv1.Deployment {
	labels := ownersKeys(l.Spec.Infrastructure.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, relayMeta(l, "").Labels)
	delete(labels, v1alpha1.LabelListener)
	labels[labelInstance] = RelayName(l)
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = mac.Write(config) // a hash never fails
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: relayMeta(l, RelayName(l)),
		Spec: appsv1.DeploymentSpec{
			Replicas:             new(int32(1)),
			RevisionHistoryLimit: new(int32(1)),
			Selector:             &metav1.LabelSelector{MatchLabels: relaySelector(l)},
			Strategy:             appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels: labels, Annotations: map[string]string{annotationRelayConfig: hex.EncodeToString(mac.Sum(nil)[:16])},
				},
				Spec: relayPod(l, image),
			},
		},
	}
	return d
}

// relayPod returns a pod with the settings of the listener's pods that concern the cluster, but not those that concern
// volumes.
func relayPod(l *v1alpha1.SFTPListener, image string) corev1.PodSpec {
	pod := l.Spec.Infrastructure.Pod
	group := &corev1.PodSecurityContext{
		RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	mode := int32(openConfigMode)
	if FixedGroup(l) {
		group.FSGroup, mode = new(int64(PodGroup)), configMode
	}
	limits := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
	}
	spec := corev1.PodSpec{
		ServiceAccountName: RelayName(l), AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
		TerminationGracePeriodSeconds: new(int64(30)), SecurityContext: group,
		NodeSelector: pod.NodeSelector, Tolerations: tolerations(l), PriorityClassName: pod.PriorityClassName,
		ImagePullSecrets: pullSecrets(l), SchedulerName: pod.SchedulerName,
		Containers: []corev1.Container{{
			Name: "relay", Image: image, ImagePullPolicy: corev1.PullPolicy(pod.ImagePullPolicy),
			Command: []string{"/sftpd", "relay"}, Args: []string{"-config", relayConfigDir},
			Ports:     []corev1.ContainerPort{{Name: "health", ContainerPort: HealthPort, Protocol: corev1.ProtocolTCP}},
			Resources: limits, Env: memoryLimit(limits),
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
			LivenessProbe: probe("/livez", 10, 3), ReadinessProbe: probe("/readyz", 5, 2),
			VolumeMounts: []corev1.VolumeMount{{Name: configVolumeName, MountPath: relayConfigDir, ReadOnly: true}},
		}},
		Volumes: []corev1.Volume{{Name: configVolumeName, VolumeSource: corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: RelayName(l), DefaultMode: &mode},
		}}},
	}
	if pod.RuntimeClassName != "" {
		spec.RuntimeClassName = &pod.RuntimeClassName
	}
	return spec
}

// RelayPort returns the port of a relay's Service and pod.
func RelayPort() string { return strconv.Itoa(HealthPort) }
