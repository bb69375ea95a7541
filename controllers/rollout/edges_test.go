package rollout

import (
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// compared returns the result of comparing a change to the owner's spec and of the rendered Deployment.
func compared(t *testing.T, before, after *v1alpha1.SFTPListener, spoil func(*appsv1.Deployment)) Change {
	t.Helper()
	was := live(t, before, "v1", First)
	d, _ := rendered(t, after, "v1")
	spoil(d)
	record, err := NewRecord(after, d)
	if err != nil {
		t.Fatal(err)
	}
	return Compare(was, d, record)
}

// withVolume returns a listener with one volume.
func withVolume(v v1alpha1.ListenerVolume) *v1alpha1.SFTPListener {
	l := testListener()
	v.Name = "data"
	l.Spec.Volumes = []v1alpha1.ListenerVolume{v}
	return l
}

// A different claim, or a different size of an emptyDir, is the owner's change, and so is replacing one kind of volume with
// another.
func TestVolumesAreTheOwners(t *testing.T) {
	kinds := []*v1alpha1.SFTPListener{
		withVolume(v1alpha1.ListenerVolume{ClaimTemplate: &v1alpha1.ClaimTemplate{Storage: resource.MustParse("1Gi")}}),
		withVolume(v1alpha1.ListenerVolume{PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "a"}}),
		withVolume(v1alpha1.ListenerVolume{PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "b"}}),
		withVolume(v1alpha1.ListenerVolume{EmptyDir: &v1alpha1.EmptyDirVolume{}}),
		withVolume(v1alpha1.ListenerVolume{EmptyDir: &v1alpha1.EmptyDirVolume{SizeLimit: new(resource.MustParse("1Gi"))}}),
	}
	for i, before := range kinds {
		for j, after := range kinds {
			got := compared(t, before, after, func(*appsv1.Deployment) {})
			if i == j && got.Any() || i != j && (strings.Join(got.Names, " ") != "volumes" || got.Cause != Owner) {
				t.Errorf("kind %d, then %d: %+v", i, j, got)
			}
		}
	}
	// Equal specs of all kinds keep their digest between versions; see TestInputsAreStable.
	for i, want := range []string{"5dc75e5daf29", "8ba537f3df06", "a0b254fe99b4", "ea583d3b73cb", "ce5632d6ed44"} {
		if _, r := rendered(t, kinds[i], "v1"); r.Inputs != want {
			t.Errorf("kind %d: inputs are %s and were %s: an upgrade would not be paced", i, r.Inputs, want)
		}
	}
}

// Each part of a template is reported under its own name, and only under that.
func TestNamesOfParts(t *testing.T) {
	container := func(edit func(*corev1.Container)) func(*corev1.PodTemplateSpec) {
		return func(p *corev1.PodTemplateSpec) { edit(&p.Spec.Containers[0]) }
	}
	for name, c := range map[string]struct {
		edit func(*corev1.PodTemplateSpec)
		want string
	}{
		"nothing":             {func(*corev1.PodTemplateSpec) {}, ""},
		"grace period":        {func(p *corev1.PodTemplateSpec) { *p.Spec.TerminationGracePeriodSeconds++ }, "shutdown"},
		"a label":             {func(p *corev1.PodTemplateSpec) { p.Labels["a"] = "b" }, "infrastructure.labels"},
		"an annotation":       {func(p *corev1.PodTemplateSpec) { p.Annotations = map[string]string{"a": "b"} }, "infrastructure.annotations"},
		"node selector":       {func(p *corev1.PodTemplateSpec) { p.Spec.NodeSelector = map[string]string{"a": "b"} }, "infrastructure.pod.nodeSelector"},
		"tolerations":         {func(p *corev1.PodTemplateSpec) { p.Spec.Tolerations = make([]corev1.Toleration, 1) }, "infrastructure.pod.tolerations"},
		"spread":              {func(p *corev1.PodTemplateSpec) { p.Spec.TopologySpreadConstraints = nil }, "infrastructure.pod.topologySpreadConstraints"},
		"priority":            {func(p *corev1.PodTemplateSpec) { p.Spec.PriorityClassName = "high" }, "infrastructure.pod.priorityClassName"},
		"pull secrets":        {func(p *corev1.PodTemplateSpec) { p.Spec.ImagePullSecrets = make([]corev1.LocalObjectReference, 1) }, "infrastructure.pod.imagePullSecrets"},
		"image":               {container(func(c *corev1.Container) { c.Image = "v2" }), "image"},
		"resources":           {container(func(c *corev1.Container) { c.Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("1")} }), "infrastructure.pod.resources"},
		"environment":         {container(func(c *corev1.Container) { c.Env = append(c.Env, corev1.EnvVar{Name: "A"}) }), "infrastructure.pod.resources"},
		"configuration":       {func(p *corev1.PodTemplateSpec) { p.Spec.Volumes[0].Projected.Sources = nil }, "maxUsers"},
		"a volume":            {func(p *corev1.PodTemplateSpec) { p.Spec.Volumes[1].Name = "x" }, "volumes"},
		"another volume":      {func(p *corev1.PodTemplateSpec) { p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "x"}) }, "volumes"},
		"where a volume is":   {container(func(c *corev1.Container) { c.VolumeMounts[1].MountPath = "/x" }), "volumes"},
		"where the config is": {container(func(c *corev1.Container) { c.VolumeMounts[0].MountPath = "/x" }), "podTemplate"},
		"a command":           {container(func(c *corev1.Container) { c.Command = []string{"x"} }), "podTemplate"},
		"another container": {func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "x"})
		}, "podTemplate"},
	} {
		got := compared(t, testListener(), testListener(), func(d *appsv1.Deployment) { c.edit(&d.Spec.Template) })
		if strings.Join(got.Names, " ") != c.want || got.Any() && got.Cause != Operator {
			t.Errorf("%s: %+v, want %q", name, got, c.want)
		}
	}
}

// A Deployment that lacks fields that all of ours have is compared nevertheless.
func TestOddDeployments(t *testing.T) {
	for name, spoil := range map[string]func(*corev1.PodSpec){
		"no container": func(s *corev1.PodSpec) { s.Containers = nil },
		"no volume":    func(s *corev1.PodSpec) { s.Volumes = nil },
		"no mount":     func(s *corev1.PodSpec) { s.Containers[0].VolumeMounts = nil },
		"one volume": func(s *corev1.PodSpec) {
			s.Volumes, s.Containers[0].VolumeMounts = s.Volumes[:1], s.Containers[0].VolumeMounts[:1]
		},
	} {
		d, _ := rendered(t, testListener(), "v1")
		spoil(&d.Spec.Template.Spec)
		r, err := NewRecord(testListener(), d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, own := r.Parts["maxUsers"]; own != (name == "one volume") {
			t.Errorf("%s: parts %v", name, r.Parts)
		}
		if _, err := NewRecord(testListener(), d); err != nil || Compare(d, d, r).Any() {
			t.Errorf("%s: differs from itself", name)
		}
	}
}

// Fields that another version of the operator knew and this one does not are reported as podTemplate, once.
func TestUnknownParts(t *testing.T) {
	d, record := rendered(t, testListener(), "v1")
	before := record
	before.Parts = map[string]string{"x": "1", "y": "2"}
	maps.Copy(before.Parts, record.Parts)
	was := d.DeepCopy()
	if err := before.Write(was); err != nil {
		t.Fatal(err)
	}
	if got := Compare(was, d, record); strings.Join(got.Names, " ") != ChangePodTemplate || got.Cause != Operator {
		t.Errorf("%+v", got)
	}
	for name := range before.Parts {
		before.Parts[name] = "other"
	}
	if err := before.Write(was); err != nil {
		t.Fatal(err)
	}
	if got := Compare(was, d, record); len(got.Names) != len(record.Parts) || !slices.IsSorted(got.Names) {
		t.Errorf("%+v, want all %d in their order", got, len(record.Parts))
	}
	before.Parts = maps.Clone(record.Parts)
	before.Parts["x"], before.Parts[ChangePodTemplate] = "1", "other"
	if err := before.Write(was); err != nil {
		t.Fatal(err)
	}
	if got := Compare(was, d, record); strings.Join(got.Names, " ") != ChangePodTemplate {
		t.Errorf("%+v", got)
	}
}

func TestRecordOnADeployment(t *testing.T) {
	_, r := rendered(t, testListener(), "v1")
	r.Cause, r.After = Idle, "7"
	d := &appsv1.Deployment{}
	d.Annotations = map[string]string{"a": "b", revisionAnnotation: "9"}
	if err := r.Write(d); err != nil || d.Annotations["a"] != "b" {
		t.Errorf("annotations %v, %v", d.Annotations, err)
	}
	got, ok := Read(d)
	if !ok || got.Cause != Idle || got.After != "7" || got.Inputs != r.Inputs || len(got.Parts) != len(r.Parts) {
		t.Errorf("read %+v, wrote %+v", got, r)
	}
	// Without a difference, what was recorded about the last one stays.
	if c := Compare(d, d, r); c.Any() || c.Cause != Idle || c.After != "7" {
		t.Errorf("%+v", c)
	}
	for _, text := range []string{"", "null", "{}", `{"inputs":"i"}`, `{"parts":{"a":"b"}}`, `{"inputs":"i","parts":{}}`, `[]`} {
		d.Annotations[v1alpha1.AnnotationRollout] = text
		if r, ok := Read(d); ok || r.Inputs != "" || r.Parts != nil {
			t.Errorf("%s is read as %+v", text, r)
		}
		want, _ := rendered(t, testListener(), "v2")
		if c := Compare(d, want, r); strings.Join(c.Names, " ") != ChangeImage || c.Cause != Operator || c.After != "9" {
			t.Errorf("%s: %+v", text, c)
		}
	}
}

// The progress of a rollout is reported only after the Deployment's controller has observed it.
func TestRollingAndStuck(t *testing.T) {
	for name, c := range map[string]struct {
		state          state
		rolling, stuck bool
	}{
		"done":                      {done, false, false},
		"in progress":               {rolling, true, false},
		"does not come forward":     {stuck, true, true},
		"stuck, and edited since":   {with(stuck, func(s *state) { s.unseen = true }), true, false},
		"done, and edited since":    {with(done, func(s *state) { s.unseen = true }), true, false},
		"no condition yet":          {with(done, func(s *state) { s.reason = "" }), true, false},
		"failed with all pods done": {with(done, func(s *state) { s.failed = true }), true, true},
	} {
		d := deployment("a", c.state)
		if Rolling(&d) != c.rolling || Stuck(&d) != c.stuck {
			t.Errorf("%s: rolling %v, stuck %v", name, Rolling(&d), Stuck(&d))
		}
	}
	// Before the controller has counted, and with an unknown number of replicas, no pod is terminating.
	for name, edit := range map[string]func(*appsv1.Deployment, *Record){
		"no revision": func(d *appsv1.Deployment, r *Record) { r.After = ""; delete(d.Annotations, revisionAnnotation) },
		"no replicas": func(d *appsv1.Deployment, _ *Record) { d.Spec.Replicas = nil },
	} {
		d := deployment("a", done)
		d.Annotations[revisionAnnotation], d.Spec.Replicas = "1", new(int32(1))
		r := Record{Cause: Operator, After: "1", Inputs: "i", Parts: map[string]string{"image": "x"}}
		edit(&d, &r)
		if err := r.Write(&d); err != nil {
			t.Fatal(err)
		}
		if Rolling(&d) {
			t.Errorf("%s: rolling", name)
		}
	}
	if got := imageOf(&appsv1.Deployment{}); got != "" {
		t.Errorf("a Deployment without containers has the image %q", got)
	}
}

// Pods that are complete but serve no users do not prove an image: a version whose pods all fail later must stop.
func TestImageIsNotProvenByPodsThatFail(t *testing.T) {
	list := []appsv1.Deployment{deployment("a", stuck), deployment("b", done)}
	list[1].Status.AvailableReplicas = 0
	listeners := []v1alpha1.SFTPListener{content("a"), content("b")}
	if f := Observe(list, listeners, "v2", nil); !f.Busy[named("a")] {
		t.Error("the stuck rollout has lost its slot")
	}
	list[1].Status.AvailableReplicas = 1
	if f := Observe(list, listeners, "v2", nil); f.Busy[named("a")] {
		t.Error("the stuck rollout keeps its slot although the image runs elsewhere")
	}
}

// A listener is not behind itself, even if the queue has an older time for it.
func TestOwnPlaceInTheQueue(t *testing.T) {
	f := Fleet{Queue: []Place{place("a", 10), place("b", 20)}}
	if !f.Admits(place("b", 30), 2) || f.Admits(place("b", 30), 1) {
		t.Error("it counts itself, or not the one ahead")
	}
}
