// Package rollout decides when a change to a listener's pod template reaches its pods. It
// is pure: it depends only on state in the API server, so that nothing is lost when the
// operator restarts.
package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Cause is what made a pod template differ from the previous one.
type Cause string

// The causes.
const (
	// First: there was no previous one.
	First Cause = "First"
	// Owner: the listener's spec.
	Owner Cause = "Owner"
	// Operator: a different version of the operator, or different flags.
	Operator Cause = "Operator"
	// Idle: like Operator, when no pod was available, so that no user was disturbed.
	Idle Cause = "Idle"
)

// Names of changes that come with the operator. Others are called by the field of the spec.
const (
	ChangeImage       = "image"
	ChangePodTemplate = "podTemplate"

	changeShutdown     = "shutdown"
	changeMaxUsers     = "maxUsers"
	changeVolumes      = "volumes"
	changeLabels       = "infrastructure.labels"
	changeAnnotations  = "infrastructure.annotations"
	changeNodeSelector = "infrastructure.pod.nodeSelector"
	changeTolerations  = "infrastructure.pod.tolerations"
	changeSpread       = "infrastructure.pod.topologySpreadConstraints"
	changePriority     = "infrastructure.pod.priorityClassName"
	changePullSecrets  = "infrastructure.pod.imagePullSecrets"
	changeResources    = "infrastructure.pod.resources"
	changePullPolicy   = "infrastructure.pod.imagePullPolicy"
	changeAffinity     = "infrastructure.pod.affinity"
	changeRuntimeClass = "infrastructure.pod.runtimeClassName"
	changeScheduler    = "infrastructure.pod.schedulerName"
	changeGroups       = "infrastructure.pod.supplementalGroups"
	changeFSGroup      = "infrastructure.pod.fsGroupPolicy"
)

// Record describes what a pod template was made from. It is kept in an annotation of the Deployment.
type Record struct {
	// Cause of the last change.
	Cause Cause `json:"cause"`
	// After is the revision of the Deployment when its template was last changed.
	After string `json:"after,omitempty"`
	// Changes name what the last change to the template was for; none if it is the first one.
	Changes []string `json:"changes,omitempty"`
	// Inputs is the digest of the part of the spec that the template is made from.
	Inputs string `json:"inputs"`
	// Parts are digests of the template's parts, by name.
	Parts map[string]string `json:"parts"`
}

// NewRecord returns the record of a rendered Deployment, without a cause.
func NewRecord(l *v1alpha1.SFTPListener, d *appsv1.Deployment) (Record, error) {
	inputs, err := digest(inputsOf(l))
	if err != nil {
		return Record{}, err
	}
	r := Record{Inputs: inputs, Parts: map[string]string{}}
	for name, part := range parts(d.Spec.Template) {
		if r.Parts[name], err = digest(part); err != nil {
			return Record{}, fmt.Errorf("%s of the pod template: %w", name, err)
		}
	}
	return r, nil
}

// inputs are all fields of the spec that the pod template is made from. Their digest must
// not change between versions of the operator for an equal spec: it distinguishes an owner's
// change, which does not wait, from the operator's.
type inputs struct {
	Volumes        []v1alpha1.ListenerVolume       `json:"volumes"`
	MaxUsers       *int32                          `json:"maxUsers"`
	Shutdown       v1alpha1.ListenerShutdown       `json:"shutdown,omitzero"`
	Infrastructure v1alpha1.ListenerInfrastructure `json:"infrastructure,omitzero"`
}

func inputsOf(l *v1alpha1.SFTPListener) inputs {
	in := inputs{MaxUsers: l.Spec.MaxUsers, Shutdown: l.Spec.Shutdown, Infrastructure: l.Spec.Infrastructure}
	in.Infrastructure.Rollout = ""
	for _, v := range l.Spec.Volumes {
		of := v1alpha1.ListenerVolume{Name: v.Name, PersistentVolumeClaim: v.PersistentVolumeClaim, EmptyDir: v.EmptyDir}
		if v.ClaimTemplate != nil {
			of.ClaimTemplate = &v1alpha1.ClaimTemplate{} // pods refer to the claim by its name
		}
		in.Volumes = append(in.Volumes, of)
	}
	return in
}

// parts splits a pod template, so that a change to it can be named. Everything without a
// name of its own is ChangePodTemplate.
func parts(template corev1.PodTemplateSpec) map[string]any {
	t := template.DeepCopy()
	spec := &t.Spec
	out := map[string]any{
		changeShutdown:     spec.TerminationGracePeriodSeconds,
		changeLabels:       t.Labels,
		changeAnnotations:  t.Annotations,
		changeNodeSelector: spec.NodeSelector,
		changeTolerations:  spec.Tolerations,
		changeSpread:       spec.TopologySpreadConstraints,
		changePriority:     spec.PriorityClassName,
		changePullSecrets:  spec.ImagePullSecrets,
		changeAffinity:     spec.Affinity,
		changeRuntimeClass: spec.RuntimeClassName,
		changeScheduler:    spec.SchedulerName,
	}
	t.Labels, t.Annotations = nil, nil
	spec.TerminationGracePeriodSeconds, spec.NodeSelector, spec.Tolerations = nil, nil, nil
	spec.TopologySpreadConstraints, spec.PriorityClassName, spec.ImagePullSecrets = nil, "", nil
	spec.Affinity, spec.RuntimeClassName, spec.SchedulerName = nil, nil, ""
	if c := spec.SecurityContext; c != nil {
		out[changeGroups] = c.SupplementalGroups
		out[changeFSGroup] = []any{c.FSGroup, configMode(spec)}
		c.SupplementalGroups, c.FSGroup = nil, nil
		setConfigMode(spec, nil)
	}
	if c := daemon(spec); c != nil {
		out[ChangeImage] = c.Image
		out[changePullPolicy] = c.ImagePullPolicy
		out[changeResources] = []any{c.Resources, c.Env}
		c.Image, c.ImagePullPolicy, c.Resources, c.Env = "", "", corev1.ResourceRequirements{}, nil
		// The first volume is the configuration's, whose size depends on maxUsers.
		if len(spec.Volumes) > 0 && len(c.VolumeMounts) > 0 {
			out[changeMaxUsers] = spec.Volumes[0]
			out[changeVolumes] = []any{spec.Volumes[1:], c.VolumeMounts[1:]}
			spec.Volumes, c.VolumeMounts = nil, c.VolumeMounts[:1]
		}
	}
	out[ChangePodTemplate] = t
	return out
}

// configMode returns the mode of the configuration's files, which follows the pods' group; nil if there are none.
func configMode(spec *corev1.PodSpec) *int32 {
	if len(spec.Volumes) == 0 || spec.Volumes[0].Projected == nil {
		return nil
	}
	return spec.Volumes[0].Projected.DefaultMode
}

func setConfigMode(spec *corev1.PodSpec, mode *int32) {
	if len(spec.Volumes) > 0 && spec.Volumes[0].Projected != nil {
		spec.Volumes[0].Projected.DefaultMode = mode
	}
}

func digest(v any) (string, error) {
	data, err := json.Marshal(v) // sorts the keys of maps
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6]), nil
}

// Write writes a record to a Deployment.
func (r Record) Write(d *appsv1.Deployment) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations[v1alpha1.AnnotationRollout] = string(data)
	return nil
}

// Read returns the record of a Deployment, and whether it has a readable one.
func Read(d *appsv1.Deployment) (Record, bool) {
	var r Record
	text, ok := d.Annotations[v1alpha1.AnnotationRollout]
	if !ok || json.Unmarshal([]byte(text), &r) != nil || r.Inputs == "" || len(r.Parts) == 0 {
		return Record{}, false
	}
	return r, true
}

// Change is what a wanted Deployment would change in a live one's pods.
type Change struct {
	// Names of the differences, sorted; none if there are none.
	Names []string
	// Cause of the difference, or of the previous one if nothing is different.
	Cause Cause
	// After and Recorded are the values for Record.After and Record.Changes.
	After    string
	Recorded []string
}

// Any reports whether pods would be replaced.
func (c Change) Any() bool { return len(c.Names) > 0 }

// Compare returns what a wanted Deployment, with its record, would change in a live one.
func Compare(live, want *appsv1.Deployment, record Record) Change {
	before, ok := Read(live)
	if !ok {
		return compareImages(live, want)
	}
	var names []string
	for name, sum := range record.Parts {
		if before.Parts[name] != sum {
			names = append(names, name)
		}
	}
	for name := range before.Parts {
		// A part known to a different version of the operator.
		if _, known := record.Parts[name]; !known && !slices.Contains(names, ChangePodTemplate) {
			names = append(names, ChangePodTemplate)
		}
	}
	if len(names) == 0 {
		return Change{Cause: before.Cause, After: before.After, Recorded: before.Changes}
	}
	slices.Sort(names)
	c := Change{Names: names, Recorded: names, Cause: Operator, After: live.Annotations[revisionAnnotation]}
	if before.Inputs != record.Inputs {
		c.Cause = Owner
	}
	return c
}

// compareImages compares with a Deployment from an operator that kept no record. The API
// server's defaults hide other differences, but they come with a different image. The cause of
// the change is unknown, so it waits for its turn.
func compareImages(live, want *appsv1.Deployment) Change {
	if imageOf(live) == imageOf(want) {
		return Change{Cause: Operator}
	}
	names := []string{ChangeImage}
	return Change{Names: names, Recorded: names, Cause: Operator, After: live.Annotations[revisionAnnotation]}
}
