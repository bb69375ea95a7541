package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
)

// ListenerVolume is one volume of a listener, mounted in every pod.
//
// +kubebuilder:validation:XValidation:message="exactly one of persistentVolumeClaim, claimTemplate or emptyDir must be set",rule="[has(self.persistentVolumeClaim), has(self.claimTemplate), has(self.emptyDir)].filter(x, x).size() == 1"
// +kubebuilder:validation:XValidation:message="the kind of a volume must not change, because its files would not move: make a new volume with a different name",rule="has(self.persistentVolumeClaim) == has(oldSelf.persistentVolumeClaim) && has(self.claimTemplate) == has(oldSelf.claimTemplate)"
type ListenerVolume struct {
	// name of the volume in this listener.
	// +required
	Name VolumeName `json:"name,omitempty"`

	// persistentVolumeClaim uses an existing claim in the listener's namespace. The
	// operator never changes or deletes it.
	// +optional
	PersistentVolumeClaim *ExistingClaim `json:"persistentVolumeClaim,omitempty"`

	// claimTemplate creates a claim named <listener>-<volume>.
	// +optional
	ClaimTemplate *ClaimTemplate `json:"claimTemplate,omitempty"`

	// emptyDir keeps files only as long as the pod lives: for tests and trials.
	// +optional
	EmptyDir *EmptyDirVolume `json:"emptyDir,omitempty"`

	// attributes Ignore lets requests to change permissions, owners and times succeed
	// without effect, for volumes that do not support them and clients that insist. Apply
	// makes the changes, or reports why it cannot. Default Apply.
	// +optional
	// +kubebuilder:default=Apply
	Attributes AttributePolicy `json:"attributes,omitempty"`
}

// AttributePolicy is what happens to requests to change permissions, owners and times.
//
// +kubebuilder:validation:Enum=Apply;Ignore
type AttributePolicy string

// The attribute policies.
const (
	AttributesApply  AttributePolicy = "Apply"
	AttributesIgnore AttributePolicy = "Ignore"
)

// ExistingClaim names a PersistentVolumeClaim.
type ExistingClaim struct {
	// claimName is the claim's name.
	// +required
	ClaimName ObjectName `json:"claimName,omitempty"`
}

// ClaimTemplate describes a PersistentVolumeClaim to create.
//
// +kubebuilder:validation:XValidation:message="storageClassName must not be changed: make a new volume with a different name and move the files",rule="has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)"
// +kubebuilder:validation:XValidation:message="accessModes must not be changed: make a new volume with a different name and move the files",rule="has(self.accessModes) == has(oldSelf.accessModes) && (!has(self.accessModes) || self.accessModes == oldSelf.accessModes)"
type ClaimTemplate struct {
	// storage is the requested size, for example 10Gi. It can be raised if the storage
	// class allows expansion, and never lowered.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$`
	// +kubebuilder:validation:XValidation:message="must be a whole number of bytes and more than 0, for example 10Gi: the suffix m stands for thousandths",rule="quantity(string(self)).isInteger() && quantity(string(self)).isGreaterThan(quantity('0'))"
	// +kubebuilder:validation:XValidation:message="must not be lowered, because a claim cannot shrink: make a new volume with a different name and move the files",rule="quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0"
	Storage resource.Quantity `json:"storage,omitzero"` //nolint:kubeapilinter // the linter takes a Quantity for a struct

	// storageClassName selects a storage class; the cluster's default when unset.
	// +optional
	StorageClassName ObjectName `json:"storageClassName,omitempty"`

	// accessModes of the claim. More than one replica needs ReadWriteMany. Default
	// ReadWriteOnce.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:validation:XValidation:message="ReadWriteOncePod must not be combined with other access modes",rule="!('ReadWriteOncePod' in self) || size(self) == 1"
	AccessModes []AccessMode `json:"accessModes,omitempty"`
}

// AccessMode is an access mode of a PersistentVolumeClaim.
//
// +kubebuilder:validation:Enum=ReadWriteOnce;ReadWriteMany;ReadWriteOncePod
type AccessMode string

// EmptyDirVolume is a directory with the lifetime of its pod.
type EmptyDirVolume struct {
	// sizeLimit evicts the pod when the files outgrow it, for example 1Gi. Default: none.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$`
	// +kubebuilder:validation:XValidation:message="must be a whole number of bytes and more than 0, for example 1Gi: the suffix m stands for thousandths",rule="quantity(string(self)).isInteger() && quantity(string(self)).isGreaterThan(quantity('0'))"
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
}

// RetentionPolicy controls whether something outlives its owner.
//
// +kubebuilder:validation:Enum=Retain;Delete
type RetentionPolicy string

// The retention policies.
const (
	Retain RetentionPolicy = "Retain"
	Delete RetentionPolicy = "Delete"
)

// ListenerHomeDirectory is where home directories are.
type ListenerHomeDirectory struct {
	// volume names the entry of volumes that holds the homes, each in
	// <namespace>/<name> of its SFTPUser. Default: the first volume.
	// +optional
	Volume VolumeName `json:"volume,omitempty"`

	// movedFrom names the volume that had the homes before, and confirms that their files have
	// been moved to the current home volume or need not be. Without it nothing moves the homes
	// to another volume: a change that would do so is refused, and a recreated listener finds
	// them where they were. It can stay set.
	// +optional
	MovedFrom VolumeName `json:"movedFrom,omitempty"`
}

// HomeVolume is the volume with the home directories of a listener.
type HomeVolume struct {
	// name of the volume at the time when it became the home volume.
	// +required
	Name VolumeName `json:"name,omitempty"`

	// claimName is the name of its PersistentVolumeClaim; an emptyDir has none.
	// +optional
	ClaimName ObjectName `json:"claimName,omitempty"`
}

// ListenerShutdown controls how a pod terminates.
type ListenerShutdown struct {
	// readinessDelaySeconds is how long a terminating pod still accepts connections while
	// it is removed from the Service. Default 5.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=60
	ReadinessDelaySeconds *int32 `json:"readinessDelaySeconds,omitempty"`

	// drainTimeoutSeconds is how long, in seconds, transfers in progress may then continue.
	// Default 300, five minutes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	DrainTimeoutSeconds *int32 `json:"drainTimeoutSeconds,omitempty"`
}

// ListenerInfrastructure adjusts the objects that the operator creates. The list is
// deliberately bounded: permission to write a listener must not grant permissions on
// nodes.
type ListenerInfrastructure struct {
	// labels are added to the pods and to the Deployment, Service, PodDisruptionBudget and
	// NetworkPolicy, but not to Secrets, claims and the ServiceAccount. Default: none.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:message="each key must be a name of at most 63 letters, digits, '-', '_' and '.', alone or after a DNS name of at most 253 characters and a '/', for example example.com/team",rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && k.indexOf('/') <= 253)"
	// +kubebuilder:validation:XValidation:message="keys must not begin with sftp-operator.io/, and must not be pod-template-hash or the app.kubernetes.io/ name, instance, component or managed-by: the operator and Kubernetes set these",rule="self.all(k, !k.startsWith('sftp-operator.io/') && !(k in ['pod-template-hash', 'app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/component', 'app.kubernetes.io/managed-by']))"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are added to the pods and to the Deployment, Service, PodDisruptionBudget and
	// NetworkPolicy, but not to Secrets, claims and the ServiceAccount. Default: none.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:message="each key must be a name of at most 63 letters, digits, '-', '_' and '.', alone or after a DNS name of at most 253 characters and a '/', for example example.com/team",rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && k.indexOf('/') <= 253)"
	// +kubebuilder:validation:XValidation:message="keys must not begin with sftp-operator.io/ or deployment.kubernetes.io/, or be kubectl.kubernetes.io/last-applied-configuration: the operator and Kubernetes set these",rule="self.all(k, !k.startsWith('sftp-operator.io/') && !k.startsWith('deployment.kubernetes.io/') && k != 'kubectl.kubernetes.io/last-applied-configuration')"
	// +kubebuilder:validation:XValidation:message="keys must not be the former annotations of seccomp and AppArmor profiles: pods keep the runtime's profile",rule="self.all(k, !k.startsWith('seccomp.security.alpha.kubernetes.io/') && !k.startsWith('container.seccomp.security.alpha.kubernetes.io/') && !k.startsWith('container.apparmor.security.beta.kubernetes.io/'))"
	// +kubebuilder:validation:XValidation:message="keys and values must not have more than 32768 bytes in total",rule="self.map(k, size(k) + size(bytes(self[k]))).sum() <= 32768"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// pod adjusts the pods.
	// +optional
	Pod ListenerPod `json:"pod,omitempty,omitzero"`

	// rollout Paused keeps the pods running, while users, keys and settings still reach
	// them: changes that would restart them, including an upgrade of the operator, are
	// listed in status.pendingRestart and wait. Default Automatic. See
	// docs/upgrading.md.
	// +optional
	Rollout RolloutPolicy `json:"rollout,omitempty"`
}

// ListenerPod adjusts the pods of a listener. Changes restart them.
type ListenerPod struct {
	// resources of the daemon's container. Default: requests of 50m CPU and 64Mi memory, and no
	// limits.
	// +optional
	Resources *PodResources `json:"resources,omitempty"`

	// nodeSelector selects nodes by label, for example {disk: ssd}. Default: any node.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:message="each key must be a name of at most 63 letters, digits, '-', '_' and '.', alone or after a DNS name of at most 253 characters and a '/', for example example.com/team",rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && k.indexOf('/') <= 253)"
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`

	// tolerations let the pods run on nodes with taints. Default: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Tolerations []Toleration `json:"tolerations,omitempty"`

	// topologySpreadConstraints of the pods. Default: spread over nodes where possible.
	// +optional
	// +listType=map
	// +listMapKey=topologyKey
	// +listMapKey=whenUnsatisfiable
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	TopologySpreadConstraints []TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// priorityClassName is the PriorityClass of the pods: those with a lower one make room first.
	// Default: the cluster's.
	// +optional
	PriorityClassName PriorityClassName `json:"priorityClassName,omitempty"`

	// imagePullSecrets are Secrets in the listener's namespace for pulling the
	// daemon's image. Default: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	ImagePullSecrets []LocalSecretReference `json:"imagePullSecrets,omitempty"`

	// imagePullPolicy controls when a node pulls the daemon's image. Default: Kubernetes' own
	// rule, IfNotPresent for an image with a tag other than latest.
	// +optional
	ImagePullPolicy PullPolicy `json:"imagePullPolicy,omitempty"`

	// affinity prefers or requires nodes by their labels and by the pods on them.
	// +optional
	Affinity *PodAffinity `json:"affinity,omitempty"`

	// runtimeClassName selects one of the nodes' container runtimes, such as one with a
	// sandbox. Default: the nodes' own.
	// +optional
	RuntimeClassName ObjectName `json:"runtimeClassName,omitempty"`

	// schedulerName is the scheduler that places the pods. Default: that of the cluster.
	// Without a scheduler with this name, they stay pending.
	// +optional
	SchedulerName ObjectName `json:"schedulerName,omitempty"`

	// fsGroupPolicy Fixed has volumes that support it owned by group 65532. Platform sets no
	// group, for platforms that assign one when a pod is created and refuse others, as
	// OpenShift's restricted-v2 does. Default Fixed.
	// +optional
	FSGroupPolicy FSGroupPolicy `json:"fsGroupPolicy,omitempty"`

	// supplementalGroups are further groups of the daemon, such as the one that owns an
	// export of an NFS server. The root group is not allowed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=2147483647
	SupplementalGroups []int64 `json:"supplementalGroups,omitempty"`
}

// PullPolicy controls when a node pulls an image.
//
// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
type PullPolicy string

// FSGroupPolicy controls who chooses the group that owns the files of volumes.
//
// +kubebuilder:validation:Enum=Fixed;Platform
type FSGroupPolicy string

// The choices of the group that owns volumes.
const (
	FSGroupFixed    FSGroupPolicy = "Fixed"
	FSGroupPlatform FSGroupPolicy = "Platform"
)
