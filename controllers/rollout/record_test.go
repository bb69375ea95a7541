package rollout

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

func testListener() *v1alpha1.SFTPListener {
	return &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "partners"},
		Spec: v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{
			{Name: "data", ClaimTemplate: &v1alpha1.ClaimTemplate{Storage: resource.MustParse("1Gi")}, Attributes: v1alpha1.AttributesApply},
		}},
	}
}

func rendered(t *testing.T, l *v1alpha1.SFTPListener, image string) (*appsv1.Deployment, Record) {
	t.Helper()
	d := render.Deployment(l, image, false)
	r, err := NewRecord(l, d)
	if err != nil {
		t.Fatal(err)
	}
	return d, r
}

// live is a Deployment as the operator applied it before.
func live(t *testing.T, l *v1alpha1.SFTPListener, image string, cause Cause) *appsv1.Deployment {
	t.Helper()
	d, r := rendered(t, l, image)
	r.Cause, r.Changes = cause, []string{changeVolumes}
	if err := r.Write(d); err != nil {
		t.Fatal(err)
	}
	return d
}

// reachesRunningPods makes an edit for which no pod is replaced.
func reachesRunningPods(l *v1alpha1.SFTPListener) {
	l.Spec.AllowedCIDRs = []string{"192.0.2.0/24"}
	l.Spec.Infrastructure.Rollout = v1alpha1.RolloutPaused
	l.Spec.Volumes[0].Attributes = v1alpha1.AttributesIgnore
	l.Spec.Volumes[0].ClaimTemplate.Storage = resource.MustParse("2Gi")
	l.Spec.Replicas = new(int32(2))
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*v1alpha1.SFTPListener)
		image string
		// spoil changes what another version of the operator rendered.
		spoil func(*appsv1.Deployment)
		want  string
		cause Cause
	}{
		"nothing":       {image: "v1", cause: First},
		"another image": {image: "v2", want: "image", cause: Operator},
		"more users": {
			image: "v1", edit: func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(9000)) },
			want: "maxUsers", cause: Owner,
		},
		"a volume": {
			image: "v1", want: "volumes", cause: Owner,
			edit: func(l *v1alpha1.SFTPListener) {
				l.Spec.Volumes = append(l.Spec.Volumes, v1alpha1.ListenerVolume{Name: "tmp", EmptyDir: &v1alpha1.EmptyDirVolume{}})
			},
		},
		"drain time": {
			image: "v1", edit: func(l *v1alpha1.SFTPListener) { l.Spec.Shutdown.DrainTimeoutSeconds = new(int32(60)) },
			want: "shutdown", cause: Owner,
		},
		"resources and an image": {
			image: "v2", want: "image infrastructure.pod.resources", cause: Owner,
			edit: func(l *v1alpha1.SFTPListener) {
				l.Spec.Infrastructure.Pod.Resources = &v1alpha1.PodResources{
					Limits: &v1alpha1.ResourceAmounts{Memory: new(resource.MustParse("1Gi"))},
				}
			},
		},
		"a label": {
			image: "v1", edit: func(l *v1alpha1.SFTPListener) { l.Spec.Infrastructure.Labels = map[string]string{"a": "b"} },
			// The default constraints use other labels than these.
			want: "infrastructure.labels", cause: Owner,
		},
		"what reaches running pods": {image: "v1", cause: First, edit: reachesRunningPods},
		// Otherwise a listener that is paused, or edited in a different way, would jump the queue of an upgrade.
		"what reaches running pods and an image": {image: "v2", want: "image", cause: Operator, edit: reachesRunningPods},
		"a claim instead of a volume made for it": {
			image: "v1", want: "volumes", cause: Owner,
			edit: func(l *v1alpha1.SFTPListener) {
				l.Spec.Volumes[0].ClaimTemplate = nil
				l.Spec.Volumes[0].PersistentVolumeClaim = &v1alpha1.ExistingClaim{ClaimName: "other"}
			},
		},
		"another port by another version": {
			image: "v1", want: "podTemplate", cause: Operator,
			spoil: func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Ports[0].ContainerPort++ },
		},
		"another default by another version": {
			image: "v1", want: "infrastructure.pod.topologySpreadConstraints", cause: Operator,
			spoil: func(d *appsv1.Deployment) { d.Spec.Template.Spec.TopologySpreadConstraints[0].MaxSkew++ },
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := live(t, testListener(), "v1", First)
			before.Annotations[revisionAnnotation] = "7"
			l := testListener()
			if c.edit != nil {
				c.edit(l)
			}
			d := render.Deployment(l, c.image, false)
			if c.spoil != nil {
				c.spoil(d)
			}
			record, err := NewRecord(l, d)
			if err != nil {
				t.Fatal(err)
			}
			got := Compare(before, d, record)
			if after := map[bool]string{true: "7", false: ""}[got.Any()]; got.After != after {
				t.Errorf("after revision %q, want %q", got.After, after)
			}
			recorded := c.want
			if !got.Any() {
				recorded = "volumes"
			}
			if strings.Join(got.Recorded, " ") != recorded {
				t.Errorf("recorded are %q, want %q", got.Recorded, recorded)
			}
			if strings.Join(got.Names, " ") != c.want || got.Cause != c.cause || got.Any() != (c.want != "") {
				t.Errorf("%+v, want %q by %s", got, c.want, c.cause)
			}
		})
	}
}

// A Deployment of an operator that kept no record contains the values that the API server filled in, which are not a change.
func TestCompareWithoutARecord(t *testing.T) {
	for name, c := range map[string]struct {
		image string
		edit  func(*appsv1.Deployment)
		want  []string
	}{
		"equal":         {image: "v1"},
		"another image": {image: "v2", want: []string{"image"}},
		"an unreadable record": {
			image: "v2", edit: func(d *appsv1.Deployment) { d.Annotations = map[string]string{v1alpha1.AnnotationRollout: "{"} }, want: []string{"image"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, _ := rendered(t, testListener(), "v1")
			before.Spec.Template.Spec.DNSPolicy = corev1.DNSClusterFirst
			before.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways
			before.Spec.Template.Spec.Containers[0].TerminationMessagePath = corev1.TerminationMessagePathDefault
			before.Spec.Template.Spec.Containers[0].LivenessProbe.SuccessThreshold = 1
			before.Spec.Template.Spec.Volumes = append(before.Spec.Template.Spec.Volumes, corev1.Volume{Name: "injected"})
			if c.edit != nil {
				c.edit(before)
			}
			d, record := rendered(t, testListener(), c.image)
			if got := Compare(before, d, record); !slices.Equal(got.Names, c.want) || !slices.Equal(got.Recorded, c.want) || got.Cause != Operator {
				t.Errorf("%+v, want %v", got, c.want)
			}
		})
	}
}

// The digest of the inputs distinguishes an owner's change from the operator's. If it differed between operator versions for
// the same spec, an upgrade would roll out every listener at once.
func TestInputsAreStable(t *testing.T) {
	full := testListener()
	full.Spec.MaxUsers = new(int32(2000))
	full.Spec.Shutdown.DrainTimeoutSeconds = new(int32(60))
	full.Spec.Infrastructure.Labels = map[string]string{"team": "a"}
	full.Spec.Infrastructure.Pod.PriorityClassName = "high"
	for want, l := range map[string]*v1alpha1.SFTPListener{"5dc75e5daf29": testListener(), "c45257267099": full} {
		_, r := rendered(t, l, "v1")
		if r.Inputs != want {
			t.Errorf("inputs are %s and were %s: an upgrade would not be paced", r.Inputs, want)
		}
	}
}
