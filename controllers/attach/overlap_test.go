package attach_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
)

// A directory inside another one of the same user must have the same access.
func TestOverlappingDirectories(t *testing.T) {
	dir := func(scope v1alpha1.DirectoryScope, subPath string, access v1alpha1.Access) v1alpha1.Directory {
		return v1alpha1.Directory{Scope: scope, SubPath: subPath, Access: access}
	}
	for name, c := range map[string]struct {
		home   v1alpha1.Directory
		mount  v1alpha1.Directory
		reason string
	}{
		"drop box inside of the home": {
			mount:  dir(v1alpha1.ScopeUser, "inbox", v1alpha1.AccessWriteOnly),
			reason: v1alpha1.ReasonDirectoriesOverlap,
		},
		"side by side": {
			home:   dir(v1alpha1.ScopeUser, "home", ""),
			mount:  dir(v1alpha1.ScopeUser, "inbox", v1alpha1.AccessWriteOnly),
			reason: v1alpha1.ReasonAccepted,
		},
		"a name that only begins alike": {
			home:   dir(v1alpha1.ScopeUser, "in", ""),
			mount:  dir(v1alpha1.ScopeUser, "inbox", v1alpha1.AccessWriteOnly),
			reason: v1alpha1.ReasonAccepted,
		},
		"same access": {
			mount:  dir(v1alpha1.ScopeUser, "inbox", v1alpha1.AccessReadWrite),
			reason: v1alpha1.ReasonAccepted,
		},
		"the whole volume around the home": {
			mount:  dir(v1alpha1.ScopeVolume, "", v1alpha1.AccessReadOnly),
			reason: v1alpha1.ReasonDirectoriesOverlap,
		},
		"another volume": {
			mount:  v1alpha1.Directory{Volume: "other", Scope: v1alpha1.ScopeVolume, Access: v1alpha1.AccessReadOnly},
			reason: v1alpha1.ReasonAccepted,
		},
		"another volume of the same claim": {
			home:   v1alpha1.Directory{Volume: "claim"},
			mount:  v1alpha1.Directory{Volume: "twin", Scope: v1alpha1.ScopeVolume, Access: v1alpha1.AccessReadOnly},
			reason: v1alpha1.ReasonDirectoriesOverlap,
		},
		"another volume of a claim that the operator makes": {
			home:   v1alpha1.Directory{Volume: "made"},
			mount:  v1alpha1.Directory{Volume: "made-twin", Scope: v1alpha1.ScopeVolume, Access: v1alpha1.AccessReadOnly},
			reason: v1alpha1.ReasonDirectoriesOverlap,
		},
	} {
		t.Run(name, func(t *testing.T) {
			claim := func(name string) *v1alpha1.ExistingClaim { return &v1alpha1.ExistingClaim{ClaimName: name} }
			u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "acme"}}
			u.Spec.HomeDirectory = c.home
			u.Spec.Mounts = []v1alpha1.Mount{{Path: "/m", Directory: c.mount}}
			l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "l"}}
			l.Spec.Volumes = []v1alpha1.ListenerVolume{
				{Name: "data"},
				{Name: "other"},
				{Name: "claim", PersistentVolumeClaim: claim("files")},
				{Name: "twin", PersistentVolumeClaim: claim("files")},
				{Name: "made", ClaimTemplate: &v1alpha1.ClaimTemplate{}},
				{Name: "made-twin", PersistentVolumeClaim: claim("l-made")},
			}
			d := attach.Decide(attach.Input{Listener: l, Users: []*v1alpha1.SFTPUser{u}, Now: time.Unix(0, 0)}, nil).Decisions
			if d[0].Reason != c.reason {
				t.Errorf("reason %s (%s), want %s", d[0].Reason, d[0].Message, c.reason)
			}
		})
	}
}
