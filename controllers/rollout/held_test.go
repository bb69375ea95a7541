package rollout

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// While a change is pending, the expected template is the one that was applied before, whatever part the change is in.
func TestHeld(t *testing.T) {
	everything := func(l *v1alpha1.SFTPListener) {
		l.Spec.MaxUsers = new(int32(5000))
		l.Spec.Shutdown.DrainTimeoutSeconds = new(int32(60))
		l.Spec.Volumes = append(l.Spec.Volumes, v1alpha1.ListenerVolume{Name: "tmp", EmptyDir: &v1alpha1.EmptyDirVolume{}})
		in := &l.Spec.Infrastructure
		in.Labels, in.Annotations = map[string]string{"a": "b"}, map[string]string{"c": "d"}
		in.Pod.NodeSelector = map[string]string{"e": "f"}
		in.Pod.Tolerations = []v1alpha1.Toleration{{Key: "g", Operator: "Exists"}}
		in.Pod.TopologySpreadConstraints = []v1alpha1.TopologySpreadConstraint{{MaxSkew: 2, TopologyKey: "h", WhenUnsatisfiable: "DoNotSchedule"}}
		in.Pod.PriorityClassName = "i"
		in.Pod.ImagePullSecrets = []v1alpha1.LocalSecretReference{{Name: "j"}}
		in.Pod.ImagePullPolicy, in.Pod.RuntimeClassName, in.Pod.SchedulerName = "Always", "k", "l"
		in.Pod.FSGroupPolicy, in.Pod.SupplementalGroups = v1alpha1.FSGroupPlatform, []int64{7}
		in.Pod.Affinity = &v1alpha1.PodAffinity{PodAntiAffinity: &v1alpha1.PodAffinityTerms{Required: []v1alpha1.PodAffinityTerm{{TopologyKey: "m"}}}}
		in.Pod.Resources = &v1alpha1.PodResources{Limits: &v1alpha1.ResourceAmounts{Memory: render.Deployment(l, "", false).Spec.Template.Spec.Containers[0].Resources.Requests.Memory()}}
	}
	changed := testListener()
	everything(changed)
	for name, c := range map[string]struct{ before, after *v1alpha1.SFTPListener }{
		"everything new":  {testListener(), changed},
		"everything gone": {changed, testListener()},
	} {
		t.Run(name, func(t *testing.T) {
			before := live(t, c.before, "v1", Owner)
			before.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
			want, record := rendered(t, c.after, "v2")
			want.Spec.Replicas = new(int32(7))
			change := Compare(before, want, record)
			if len(change.Names) != len(record.Parts)-1 { // all but podTemplate
				t.Fatalf("changed are %v, the parts are %v", change.Names, record.Parts)
			}
			got, ok := Held(before, want, change)
			if !ok || !equality.Semantic.DeepEqual(got.Spec, before.Spec) {
				t.Errorf("held\n%+v\nwant\n%+v", got.Spec, before.Spec)
			}
			if want.Spec.Template.Spec.Containers[0].Image != "v2" {
				t.Error("what is wanted was changed")
			}
			eachPart(t, before, want, change)
		})
	}
}

// eachPart holds one part at a time: that part keeps its state, and each other one is as wanted.
func eachPart(t *testing.T, before, want *appsv1.Deployment, change Change) {
	t.Helper()
	was, is := parts(before.Spec.Template), parts(want.Spec.Template)
	for _, name := range change.Names {
		got, ok := Held(before, want, Change{Names: []string{name}})
		if !ok {
			t.Fatalf("%s cannot be held", name)
		}
		for part, value := range parts(got.Spec.Template) {
			expected := is[part]
			if part == name {
				expected = was[part]
			}
			if !equality.Semantic.DeepEqual(value, expected) {
				t.Errorf("%s is held, and %s is\n%+v\nwant\n%+v", name, part, value, expected)
			}
		}
	}
}

// Volumes that were removed from a Deployment by hand, or that a later version does not have, do not cause a panic.
func TestHeldWithoutVolumes(t *testing.T) {
	bare := func(image string) *appsv1.Deployment {
		d := live(t, testListener(), image, Owner)
		d.Spec.Template.Spec.Volumes = nil
		return d
	}
	full := func(image string) *appsv1.Deployment { return live(t, testListener(), image, Owner) }
	for name, c := range map[string]struct {
		before, want *appsv1.Deployment
		part         string
		volumes      int
	}{
		"the live one has none, maxUsers": {bare("v1"), full("v2"), changeMaxUsers, 2},
		"the wanted has none, maxUsers":   {full("v1"), bare("v2"), changeMaxUsers, 0},
		"the live one has none, volumes":  {bare("v1"), full("v2"), changeVolumes, 1},
		"the wanted has none, volumes":    {full("v1"), bare("v2"), changeVolumes, 2},
	} {
		got, ok := Held(c.before, c.want, Change{Names: []string{c.part}})
		if !ok || len(got.Spec.Template.Spec.Volumes) != c.volumes {
			t.Errorf("%s: %v, %+v", name, ok, got.Spec.Template.Spec.Volumes)
		}
	}
}

// Additions by hand are still noticed in a part that does not change.
func TestHeldDoesNotHideAdditions(t *testing.T) {
	before := live(t, testListener(), "v1", Owner)
	before.Spec.Template.Spec.HostNetwork = true
	before.Spec.Template.Spec.Containers = append([]corev1.Container{{Name: "evil", Image: "v2"}}, before.Spec.Template.Spec.Containers...)
	want, record := rendered(t, testListener(), "v2")
	got, ok := Held(before, want, Compare(before, want, record))
	if spec := got.Spec.Template.Spec; !ok || spec.HostNetwork || len(spec.Containers) != 1 || spec.Containers[0].Image != "v1" {
		t.Errorf("held %+v", got)
	}
}

func TestHeldCannotBeTold(t *testing.T) {
	want, _ := rendered(t, testListener(), "v2")
	without := live(t, testListener(), "v1", Owner)
	without.Spec.Template.Spec.Containers[0].Name = "other"
	if got, ok := Held(live(t, testListener(), "v1", Owner), want, Change{Names: []string{"image", ChangePodTemplate}}); ok {
		t.Errorf("another template: %+v", got)
	}
	if got, ok := Held(live(t, testListener(), "v1", Owner), want, Change{Names: []string{"of a later version"}}); ok {
		t.Errorf("an unknown part: %+v", got)
	}
	for _, pair := range [][2]*appsv1.Deployment{{without, want}, {want, without}} {
		if got, ok := Held(pair[0], pair[1], Change{Names: []string{"image"}}); ok {
			t.Errorf("no daemon: %+v", got)
		}
	}
}
