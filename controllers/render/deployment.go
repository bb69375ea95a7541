package render

import (
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
)

// ContainerName is the name of the daemon's container in its pod.
const ContainerName = "sftpd"

// ConfigDir is where a pod finds its configuration.
const ConfigDir = "/etc/sftpd"

// PodGroup owns the files of volumes that support it, and lets the daemon read its
// Secrets, whichever user ID it runs with. With fsGroupPolicy Platform, the platform chooses
// a different one.
const PodGroup = 65532

// terminationMargin is what a pod gets after its drain time, in seconds.
const terminationMargin = 10

// configMode lets the pod's group read. The kubelet adds that to any stricter mode.
const configMode = 0o440

// openConfigMode is for pods whose group the platform chooses: if it assigned none, the files would be readable by root only.
// Only the pod's container sees the directory.
const openConfigMode = 0o444

// Deployment returns the Deployment of a listener's pods. exclusive means that only one
// node can mount a volume: then a new pod must wait until the old one has ended.
//
// Nothing in it depends on users, keys or passwords, so that no change to those ever
// restarts a pod.
func Deployment(l *v1alpha1.SFTPListener, image string, exclusive bool) *appsv1.Deployment {
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: workloadMeta(l, WorkloadName(l)),
		Spec: appsv1.DeploymentSpec{
			Replicas:             l.Spec.Replicas,
			RevisionHistoryLimit: new(int32(3)),
			Selector:             &metav1.LabelSelector{MatchLabels: Selector(l)},
			Strategy:             strategy(exclusive),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: Labels(l), Annotations: ownersKeys(l.Spec.Infrastructure.Annotations)},
				Spec:       podSpec(l, image),
			},
		},
	}
	return d
}

func strategy(exclusive bool) appsv1.DeploymentStrategy {
	if exclusive {
		return appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	return appsv1.DeploymentStrategy{
		Type: appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxUnavailable: new(intstr.FromInt32(0)),
			MaxSurge:       new(intstr.FromInt32(1)),
		},
	}
}

func podSpec(l *v1alpha1.SFTPListener, image string) corev1.PodSpec {
	pod := l.Spec.Infrastructure.Pod
	spec := corev1.PodSpec{
		ServiceAccountName:            WorkloadName(l),
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(ReadinessDelaySeconds(l) + DrainTimeoutSeconds(l) + terminationMargin)),
		SecurityContext:               securityContext(l),
		Containers:                    []corev1.Container{container(l, image)},
		Volumes:                       podVolumes(l),
		NodeSelector:                  pod.NodeSelector,
		Tolerations:                   tolerations(l),
		TopologySpreadConstraints:     spread(l),
		PriorityClassName:             pod.PriorityClassName,
		ImagePullSecrets:              pullSecrets(l),
		Affinity:                      affinity(l),
		SchedulerName:                 pod.SchedulerName,
	}
	if pod.RuntimeClassName != "" {
		spec.RuntimeClassName = &pod.RuntimeClassName
	}
	return spec
}

func securityContext(l *v1alpha1.SFTPListener) *corev1.PodSecurityContext {
	c := &corev1.PodSecurityContext{
		RunAsNonRoot:        new(true),
		FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
		SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		SupplementalGroups:  l.Spec.Infrastructure.Pod.SupplementalGroups,
	}
	if FixedGroup(l) {
		c.FSGroup = new(int64(PodGroup))
	}
	return c
}

// FixedGroup reports whether PodGroup owns the volumes of a listener, and not a group that the
// platform chooses.
func FixedGroup(l *v1alpha1.SFTPListener) bool {
	return l.Spec.Infrastructure.Pod.FSGroupPolicy != v1alpha1.FSGroupPlatform
}

func container(l *v1alpha1.SFTPListener, image string) corev1.Container {
	c := corev1.Container{
		Name:            ContainerName,
		Image:           image,
		ImagePullPolicy: corev1.PullPolicy(l.Spec.Infrastructure.Pod.ImagePullPolicy),
		Command:         []string{"/sftpd", "serve"},
		Args:            []string{"-config", ConfigDir},
		Ports: []corev1.ContainerPort{
			{Name: "sftp", ContainerPort: SFTPPort, Protocol: corev1.ProtocolTCP},
			{Name: "health", ContainerPort: HealthPort, Protocol: corev1.ProtocolTCP},
		},
		Resources: resources(l),
		Env:       memoryLimit(resources(l)),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		StartupProbe:   probe("/livez", 1, 30),
		LivenessProbe:  probe("/livez", 10, 3),
		ReadinessProbe: probe("/readyz", 2, 2),
		VolumeMounts:   []corev1.VolumeMount{{Name: configVolumeName, MountPath: ConfigDir, ReadOnly: true}},
	}
	for _, v := range l.Spec.Volumes {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volumeName(v), MountPath: PodVolumePath(v.Name)})
	}
	return c
}

func probe(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("health")}},
		PeriodSeconds:    period,
		TimeoutSeconds:   2,
		FailureThreshold: failures,
	}
}

// memoryLimit sets GOMEMLIMIT (package runtime) according to the container's limit. The remaining tenth is
// for the program itself, and for kernel memory of its connections.
func memoryLimit(r corev1.ResourceRequirements) []corev1.EnvVar {
	limit, limited := r.Limits[corev1.ResourceMemory]
	if !limited {
		return nil
	}
	return []corev1.EnvVar{{Name: "GOMEMLIMIT", Value: strconv.FormatInt(limit.Value()/10*9, 10)}}
}

// volumeName separates users' volume names from the operator's own.
func volumeName(v v1alpha1.ListenerVolume) string { return "data-" + v.Name }

// Unmounted returns the volumes of a listener that a pod of its Deployment lacks.
func Unmounted(l *v1alpha1.SFTPListener, pod *corev1.PodSpec) []string {
	has := func(name string) bool {
		return slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == name })
	}
	if !has(configVolumeName) {
		return nil // it was not created from a Deployment's template
	}
	var out []string
	for _, v := range l.Spec.Volumes {
		if !has(volumeName(v)) {
			out = append(out, v.Name)
		}
	}
	return out
}

// configVolumeName is the volume with the configuration.
const configVolumeName = "config"

func podVolumes(l *v1alpha1.SFTPListener) []corev1.Volume {
	out := []corev1.Volume{{Name: configVolumeName, VolumeSource: corev1.VolumeSource{Projected: configVolume(l)}}}
	for _, v := range l.Spec.Volumes {
		pv := corev1.Volume{Name: volumeName(v)}
		switch {
		case v.PersistentVolumeClaim != nil:
			pv.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.PersistentVolumeClaim.ClaimName}
		case v.ClaimTemplate != nil:
			pv.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: attach.ClaimName(l, v.Name)}
		default:
			pv.EmptyDir = &corev1.EmptyDirVolumeSource{}
			if v.EmptyDir != nil {
				pv.EmptyDir.SizeLimit = v.EmptyDir.SizeLimit
			}
		}
		out = append(out, pv)
	}
	return out
}

// configVolume joins all Secrets in one volume, which the kubelet updates atomically. All
// are optional, so that a pod starts, and reports what is missing, even without them.
func configVolume(l *v1alpha1.SFTPListener) *corev1.ProjectedVolumeSource {
	source := func(name string) corev1.VolumeProjection {
		return corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: name},
			Optional:             new(true),
		}}
	}
	mode := int32(configMode)
	if !FixedGroup(l) {
		mode = openConfigMode
	}
	v := &corev1.ProjectedVolumeSource{
		DefaultMode: &mode,
		Sources:     []corev1.VolumeProjection{source(ConfigSecretName(l))},
	}
	for i := range shard.Count(attach.MaxUsers(l)) {
		v.Sources = append(v.Sources, source(ShardSecretName(l, i)))
	}
	return v
}
