package attach

import (
	"fmt"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// HomeVolume returns the name of the volume that holds home directories: the one that the spec asks for or,
// while status.homeVolume names another one, the volume with that one's claim. It is "" if the spec no
// longer has that volume, or has it on a different claim: an empty directory must not take the place of a
// partner's files.
func HomeVolume(l *v1alpha1.SFTPListener) string {
	wanted := wantedHome(l)
	if wanted == nil {
		return ""
	}
	was := l.Status.HomeVolume
	if was == nil || movedFrom(l, was) || sameStorage(l, wanted, was) {
		return wanted.Name
	}
	for i := range l.Spec.Volumes {
		if v := &l.Spec.Volumes[i]; sameStorage(l, v, was) {
			return v.Name
		}
	}
	return ""
}

// HomeOf returns the home volume for a listener's status: where the homes are now, even if the spec no longer has that volume.
// It is nil for a listener without volumes.
func HomeOf(l *v1alpha1.SFTPListener) *v1alpha1.HomeVolume {
	name := HomeVolume(l)
	for i := range l.Spec.Volumes {
		if v := &l.Spec.Volumes[i]; v.Name == name {
			return &v1alpha1.HomeVolume{Name: v.Name, ClaimName: claimOf(l, v)}
		}
	}
	return l.Status.HomeVolume
}

// WithHome returns a listener with the recorded home volume instead of the one in its status, which may be older or lost. The
// listener is not changed, and is returned as it is if nothing is recorded.
func WithHome(l *v1alpha1.SFTPListener, recorded *v1alpha1.HomeVolume) *v1alpha1.SFTPListener {
	if recorded == nil {
		return l
	}
	out := *l
	out.Status.HomeVolume = recorded
	return &out
}

// HomeProblem returns a sentence saying that a listener's spec would move the home directories, and what to do about it. It is
// "" if they are where the spec wants them. served reports whether users can still find them.
func HomeProblem(l *v1alpha1.SFTPListener) (message string, served bool) {
	wanted, has, was := wantedHome(l), HomeVolume(l), l.Status.HomeVolume
	if wanted == nil || was == nil || has == wanted.Name {
		return "", true
	}
	where := fmt.Sprintf("volume %q", was.Name)
	if was.ClaimName != "" {
		where += fmt.Sprintf(", claim %q", was.ClaimName)
	}
	if has == "" {
		return fmt.Sprintf("The home directories are on %s, which is no longer in spec.volumes, and volume %q is not used in its place: add that volume again; "+
			"or move the files, and set homeDirectory.movedFrom to %q", where, wanted.Name, was.Name), false
	}
	return fmt.Sprintf("The home directories are on %s, and stay there although the spec asks for volume %q: set homeDirectory.volume to %q; "+
		"or move the files, and set homeDirectory.movedFrom to %q", where, wanted.Name, has, was.Name), true
}

// wantedHome returns the volume that the spec asks for, nil if there is none.
func wantedHome(l *v1alpha1.SFTPListener) *v1alpha1.ListenerVolume {
	for i := range l.Spec.Volumes {
		if v := &l.Spec.Volumes[i]; l.Spec.HomeDirectory.Volume == "" || v.Name == l.Spec.HomeDirectory.Volume {
			return v
		}
	}
	return nil
}

func movedFrom(l *v1alpha1.SFTPListener, was *v1alpha1.HomeVolume) bool {
	return l.Spec.HomeDirectory.MovedFrom == was.Name
}

// sameStorage reports whether a volume has the files of the one that had the homes.
func sameStorage(l *v1alpha1.SFTPListener, v *v1alpha1.ListenerVolume, was *v1alpha1.HomeVolume) bool {
	claim := claimOf(l, v)
	return claim == was.ClaimName && (claim != "" || v.Name == was.Name)
}

// claimOf returns the name of a volume's claim, "" for an emptyDir.
func claimOf(l *v1alpha1.SFTPListener, v *v1alpha1.ListenerVolume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.ClaimTemplate != nil:
		return ClaimName(l, v.Name)
	}
	return ""
}
