package status

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
)

func TestPlatformRefuses(t *testing.T) {
	in := wellInput()
	in.Platform.Violations = []platform.Violation{{Message: "spec.a must not be b (bounds.c)"}, {Message: "spec.d must not be e (bounds.f)"}}
	st := Build(in)
	got := lines(st)
	if got["Accepted"] != "False/PlatformPolicy" || got["Ready"] != "False/PlatformPolicy" || got["Stalled"] != "True/PlatformPolicy" || got["Programmed"] != "True/Programmed" {
		t.Errorf("%v", got)
	}
	for _, c := range st.Conditions {
		if (c.Type == "Accepted" || c.Type == "Ready") && !strings.HasSuffix(c.Message, ": spec.a must not be b (bounds.c); spec.d must not be e (bounds.f)") {
			t.Errorf("%s: %s", c.Type, c.Message)
		}
	}
}

// The status has the defaults in effect, and not a class that differs from the one with which a claim or Service was created.
func TestPlatformDefaultsInEffect(t *testing.T) {
	class := func(name string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &name}}
	}
	in := wellInput()
	in.Platform.Defaults = []v1alpha1.PlatformDefault{
		{Field: "spec.service.ipFamilyPolicy", Value: "PreferDualStack"},
		{Field: platform.LoadBalancerClassField, Value: "a/b"},
		{Field: platform.StorageClassField("old"), Value: "fast"},
		{Field: platform.StorageClassField("same"), Value: "fast"},
		{Field: platform.StorageClassField("new"), Value: "fast"},
	}
	in.Volumes.Volumes = []volumes.Volume{{Name: "old", Live: class("slow")}, {Name: "same", Live: class("fast")}, {Name: "new"}}
	var got []string
	for _, d := range Build(in).PlatformDefaults {
		got = append(got, d.Field)
	}
	want := []string{"spec.service.ipFamilyPolicy", platform.StorageClassField("same"), platform.StorageClassField("new")}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
	if len(in.Platform.Defaults) != 5 || in.Platform.Defaults[1].Value != "a/b" {
		t.Error("the input was changed")
	}
}
