package listener

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// judgeVolumes turns what pods say of volumes into a condition. Which of several problems it
// shows does not change from one look to the next: the order is that of the spec.
func (s *scope) judgeVolumes() (c condition, ok bool) {
	if len(s.acks.Volumes) == 0 {
		before := meta.FindStatusCondition(s.before.Status.Conditions, v1alpha1.ConditionVolumesWritable)
		if s.acked && before != nil && !s.anyWriter() {
			return conditions.True(v1alpha1.ConditionVolumesWritable, v1alpha1.ReasonVolumesWritable, "No login may write to a volume"), true
		}
		return condition{}, false
	}
	for _, v := range s.listener.Spec.Volumes {
		for _, is := range s.acks.Volumes {
			if is.Name == v.Name && is.Problem != "" {
				return volumeCondition(is), true
			}
		}
	}
	message := "All volumes that logins may write to can be written"
	return conditions.True(v1alpha1.ConditionVolumesWritable, v1alpha1.ReasonVolumesWritable, message), true
}

// anyWriter says whether an accepted user may write somewhere.
func (s *scope) anyWriter() bool {
	writes := func(d v1alpha1.Directory) bool { return attach.AccessOf(d) != v1alpha1.AccessReadOnly }
	for _, d := range s.decisions {
		if !d.Accepted() {
			continue
		}
		if writes(d.User.Spec.HomeDirectory) || slices.ContainsFunc(d.User.Spec.Mounts, func(m v1alpha1.Mount) bool { return writes(m.Directory) }) {
			return true
		}
	}
	return false
}

func volumeCondition(v ack.Volume) condition {
	no := func(reason, what, remedy string) condition {
		return conditions.False(v1alpha1.ConditionVolumesWritable, reason, fmt.Sprintf("Volume %q %s in pod %s; %s", v.Name, what, v.Pod, remedy))
	}
	switch v.Problem {
	case config.VolumeReadOnly:
		return no(v1alpha1.ReasonVolumeReadOnly, "is read-only", "look at its PersistentVolume's mount options, and for errors of its file system in the node's log")
	case config.VolumeFull:
		return no(v1alpha1.ReasonVolumeFull, "is full", "remove files, raise the claim's size, or its quota")
	case config.VolumePermissionDenied:
		return no(v1alpha1.ReasonVolumePermissionDenied, fmt.Sprintf("is not writable by UID %d and group %d: permission denied", v.UID, render.PodGroup),
			fmt.Sprintf("give group %d the right to write on the volume's directory", render.PodGroup))
	case config.VolumeNotMounted:
		return no(v1alpha1.ReasonVolumeNotMounted, "is not mounted", "a restart of the pod mounts it, see the condition RolledOut")
	case config.VolumeSilent:
		return no(v1alpha1.ReasonVolumeNoAnswer, "does not answer", "look whether the server of its PersistentVolume can be reached")
	case config.VolumeFailed:
	}
	return no(v1alpha1.ReasonVolumeFailed, "cannot be written", "the pod's log says why")
}

// noteUnmounted finds out which volumes a ready pod lacks: it may be older than they are.
func (s *scope) noteUnmounted(ctx context.Context) error {
	pods, err := s.pods(ctx)
	if err != nil {
		return err
	}
	s.unmounted = map[string]bool{}
	for _, p := range pods {
		if !ack.Ready(p) {
			continue
		}
		for _, name := range render.Unmounted(s.listener, &p.Spec) {
			s.unmounted[name] = true
		}
	}
	return nil
}

// unmountedOf is a volume of a user that a ready pod lacks, "" if there is none.
func (s *scope) unmountedOf(u *v1alpha1.SFTPUser) string {
	if len(s.unmounted) == 0 {
		return ""
	}
	if v := attach.VolumeOf(s.listener, u.Spec.HomeDirectory); s.unmounted[v] {
		return v
	}
	for _, m := range u.Spec.Mounts {
		if v := attach.VolumeOf(s.listener, m.Directory); s.unmounted[v] {
			return v
		}
	}
	return ""
}

// announceVolumes writes an event when a volume ceased to be writable, or is again.
func (s *scope) announceVolumes() {
	was := meta.FindStatusCondition(s.before.Status.Conditions, v1alpha1.ConditionVolumesWritable)
	is := meta.FindStatusCondition(s.listener.Status.Conditions, v1alpha1.ConditionVolumesWritable)
	switch {
	case is == nil || was != nil && was.Reason == is.Reason:
	case is.Reason != v1alpha1.ReasonVolumesWritable:
		s.Events.Eventf(s.listener, nil, corev1.EventTypeWarning, is.Reason, "Reconcile", "%s", is.Message)
	case was != nil:
		s.Events.Eventf(s.listener, nil, corev1.EventTypeNormal, is.Reason, "Reconcile", "%s", is.Message)
	}
}
