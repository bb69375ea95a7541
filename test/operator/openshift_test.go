package operator

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/test/openshift"
)

// operatorOnOpenShift returns the operator's pod as the chart renders it for OpenShift: the golden file of test/chart.
func operatorOnOpenShift(t *testing.T) corev1.PodTemplateSpec {
	t.Helper()
	data, err := os.ReadFile("../chart/testdata/openshift.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range regexp.MustCompile(`(?m)^---$`).Split(string(data), -1) {
		if strings.Contains(document, "\nkind: Deployment\n") {
			d := &appsv1.Deployment{}
			if err := yaml.Unmarshal([]byte(document), d); err != nil {
				t.Fatal(err)
			}
			return d.Spec.Template
		}
	}
	t.Fatal("the chart renders no Deployment")
	return corev1.PodTemplateSpec{}
}

// admitted creates a pod from a template, and returns it as modified by admission.
func admitted(t *testing.T, ns, name string, of corev1.PodTemplateSpec) (*corev1.Pod, error) {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: of.Labels}, Spec: *of.Spec.DeepCopy()}
	return p, api.Create(t.Context(), p, client.DryRunAll)
}

// Where the platform assigns users and groups, as OpenShift does, the pods of the operator and of listeners with fsGroupPolicy
// Platform are admitted, and get the assigned ones. Pods with their own group are refused, which shows that the check can fail.
func TestOpenShiftLikeAdmission(t *testing.T) {
	ns := namespace(t, map[string]string{openshift.Label: "true"})
	remove, err := openshift.Install(t.Context(), api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	})
	fixed := newListener(ns, func(l *v1alpha1.SFTPListener) { l.Name = "fixed" })
	create(t, fixed)
	own := deploymentOf(t, fixed).Spec.Template
	eventually(t, func() error { // policies take effect a moment after they are created
		if _, err := admitted(t, ns, "fixed", own); err == nil || !strings.Contains(err.Error(), "restricted-v2: fsGroup must be 1000650000") {
			return fmt.Errorf("a pod with its own group: %w", err)
		}
		return nil
	})
	underPolicy(t, "defaults: {fsGroupPolicy: Platform}")
	l := newListener(ns)
	create(t, l)
	for name, of := range map[string]corev1.PodTemplateSpec{
		"listener": deploymentOf(t, l).Spec.Template,
		"operator": operatorOnOpenShift(t),
	} {
		p, err := admitted(t, ns, name, of)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c := p.Spec.SecurityContext
		if c.RunAsUser == nil || *c.RunAsUser != openshift.FirstID || c.FSGroup == nil || *c.FSGroup != openshift.FirstID {
			t.Errorf("%s runs with %+v", name, c)
		}
	}
}
