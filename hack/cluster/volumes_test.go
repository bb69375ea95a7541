package main

import (
	"slices"
	"testing"
)

func claim(class string, change func(*volumeClaim)) volumeClaim {
	c := volumeClaim{Metadata: metadata{Name: "data", Namespace: "ns", UID: "u1"}}
	c.Spec.StorageClassName, c.Spec.AccessModes = class, []string{"ReadWriteMany"}
	c.Spec.Resources.Requests = map[string]string{"storage": "1Gi"}
	if change != nil {
		change(&c)
	}
	return c
}

func TestPlanMakesVolumes(t *testing.T) {
	classes := []storageClass{
		{Metadata: metadata{Name: "now"}, Provisioner: driver, ReclaimPolicy: "Delete", VolumeBindingMode: "Immediate"},
		{Metadata: metadata{Name: "later"}, Provisioner: driver, ReclaimPolicy: "Retain", VolumeBindingMode: waitForPod},
		{Metadata: metadata{Name: "foreign"}, Provisioner: "example.com/x", VolumeBindingMode: "Immediate"},
	}
	scheduled := func(node string) func(*volumeClaim) {
		return func(c *volumeClaim) { c.Metadata.Annotations = map[string]string{selectedNode: node} }
	}
	for _, c := range []struct {
		what  string
		claim volumeClaim
		want  bool
	}{
		{"binds at once", claim("now", nil), true},
		{"waits for its pod", claim("later", nil), false},
		{"its pod has come", claim("later", scheduled(nodeName)), true},
		{"its pod is elsewhere", claim("later", scheduled("other")), false},
		{"another driver's", claim("foreign", nil), false},
		{"of no class", claim("", nil), false},
		{"has a volume", claim("now", func(c *volumeClaim) { c.Spec.VolumeName = "v" }), false},
		{"is being deleted", claim("now", func(c *volumeClaim) { c.Metadata.DeletionTimestamp = "2026-01-01T00:00:00Z" }), false},
		{"wants a block device", claim("now", func(c *volumeClaim) { c.Spec.VolumeMode = "Block" }), false},
		{"selects by label", claim("now", func(c *volumeClaim) { c.Spec.Selector = map[string]any{} }), false},
	} {
		wanted, _ := plan(classes, []volumeClaim{c.claim}, nil, "/volumes")
		if (len(wanted) == 1) != c.want {
			t.Errorf("a claim that %s: %d volumes", c.what, len(wanted))
		}
	}

	v := volumeFor(claim("later", nil), classes[1], "/volumes")
	if v.Spec.Local.Path != "/volumes/pvc-u1" || v.Spec.ClaimRef.UID != "u1" || v.Spec.PersistentVolumeReclaimPolicy != "Retain" ||
		!slices.Equal(v.Spec.AccessModes, []string{"ReadWriteMany"}) || v.Spec.Capacity["storage"] != "1Gi" {
		t.Errorf("volume = %+v", v)
	}
	if sized := volumeFor(claim("sized", nil), storageClass{Parameters: map[string]string{mediumKey: memory}}, "/volumes"); sized.Metadata.Annotations[mediumKey] != memory || v.Metadata.Annotations[mediumKey] != "" {
		t.Errorf("in memory are %+v and %+v", sized.Metadata, v.Metadata)
	}
	if wanted, _ := plan(classes, []volumeClaim{claim("now", nil)}, []volume{v}, "/volumes"); len(wanted) != 0 {
		t.Error("an existing volume is created again")
	}
}

func TestPlanDeletesOnlyItsOwnReleasedVolumes(t *testing.T) {
	released := func(change func(*volume)) volume {
		v := volume{Metadata: metadata{Name: "pvc-1", Annotations: map[string]string{provisionedBy: driver}}}
		v.Spec.PersistentVolumeReclaimPolicy, v.Spec.Local.Path, v.Status.Phase = "Delete", "/volumes/pvc-1", "Released"
		change(&v)
		return v
	}
	for _, c := range []struct {
		what   string
		volume volume
		want   bool
	}{
		{"is released", released(func(*volume) {}), true},
		{"is bound", released(func(v *volume) { v.Status.Phase = "Bound" }), false},
		{"must be kept", released(func(v *volume) { v.Spec.PersistentVolumeReclaimPolicy = "Retain" }), false},
		{"someone made", released(func(v *volume) { v.Metadata.Annotations = nil }), false},
		{"points elsewhere", released(func(v *volume) { v.Spec.Local.Path = "/etc" }), false},
		{"climbs out", released(func(v *volume) { v.Metadata.Name = "../../etc"; v.Spec.Local.Path = "/volumes/../../etc" }), false},
	} {
		_, got := plan(nil, nil, []volume{c.volume}, "/volumes")
		if (len(got) == 1) != c.want {
			t.Errorf("a volume that %s: deleted %v", c.what, got)
		}
	}
}
