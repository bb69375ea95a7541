// Package rollout decides when a change of a listener's pod template reaches its pods. It
// is pure: what it goes by is what the API server holds, so that nothing is lost when the
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

// Cause is who made a pod template differ from the one before.
type Cause string

// The causes.
const (
	// First: there was none before.
	First Cause = "First"
	// Owner: the listener's spec.
	Owner Cause = "Owner"
	// Operator: another version of the operator, or other flags of it.
	Operator Cause = "Operator"
	// Idle: as Operator, when no pod was available, so that nobody was disturbed.
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
)

// Record is what a pod template was made of. It is kept in an annotation of the Deployment.
type Record struct {
	// Cause of the last change.
	Cause Cause `json:"cause"`
	// After is the revision that the Deployment had when its template was changed last.
	After string `json:"after,omitempty"`
	// Changes name what the template was changed for last; none if it is the first one.
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
// not change between versions of the operator for an equal spec: it tells an owner's change,
// which does not wait, from the operator's.
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
			of.ClaimTemplate = &v1alpha1.ClaimTemplate{} // the pods know the claim by its name
		}
		in.Volumes = append(in.Volumes, of)
	}
	return in
}

// parts takes a pod template apart, so that a change of it can be named. All that has no
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
	}
	t.Labels, t.Annotations = nil, nil
	spec.TerminationGracePeriodSeconds, spec.NodeSelector, spec.Tolerations = nil, nil, nil
	spec.TopologySpreadConstraints, spec.PriorityClassName, spec.ImagePullSecrets = nil, "", nil
	if c := daemon(spec); c != nil {
		out[ChangeImage] = c.Image
		out[changeResources] = []any{c.Resources, c.Env}
		c.Image, c.Resources, c.Env = "", corev1.ResourceRequirements{}, nil
		// The first volume is that of the configuration, of which maxUsers sets the size.
		if len(spec.Volumes) > 0 && len(c.VolumeMounts) > 0 {
			out[changeMaxUsers] = spec.Volumes[0]
			out[changeVolumes] = []any{spec.Volumes[1:], c.VolumeMounts[1:]}
			spec.Volumes, c.VolumeMounts = nil, c.VolumeMounts[:1]
		}
	}
	out[ChangePodTemplate] = t
	return out
}

func digest(v any) (string, error) {
	data, err := json.Marshal(v) // sorts the keys of maps
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6]), nil
}

// Write puts a record on a Deployment.
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

// Read returns the record of a Deployment, and whether it has one that can be read.
func Read(d *appsv1.Deployment) (Record, bool) {
	var r Record
	text, ok := d.Annotations[v1alpha1.AnnotationRollout]
	if !ok || json.Unmarshal([]byte(text), &r) != nil || r.Inputs == "" || len(r.Parts) == 0 {
		return Record{}, false
	}
	return r, true
}

// Change is what a wanted Deployment would change of a live one's pods.
type Change struct {
	// Names of what is different, sorted; none if nothing is.
	Names []string
	// Cause of the difference, or of the one before if nothing is different.
	Cause Cause
	// After and Recorded are what Record.After and Record.Changes are to be.
	After    string
	Recorded []string
}

// Any says whether pods would be replaced.
func (c Change) Any() bool { return len(c.Names) > 0 }

// Compare returns what a wanted Deployment, with its record, would change of a live one.
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
		// A part that another version of the operator knew.
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

// compareImages compares with a Deployment that an operator made that kept no record. What the
// API server filled in hides what else is different, but it comes with another image. Who
// made the change is unknown, so it takes its turn.
func compareImages(live, want *appsv1.Deployment) Change {
	if imageOf(live) == imageOf(want) {
		return Change{Cause: Operator}
	}
	names := []string{ChangeImage}
	return Change{Names: names, Recorded: names, Cause: Operator, After: live.Annotations[revisionAnnotation]}
}
