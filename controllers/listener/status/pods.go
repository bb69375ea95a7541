package status

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Explain returns why records that were delivered are not in the pods, and why pods lack a volume. It is in the status of
// each waiting user, so it only changes with the kind of cause: counts, and what differs between attempts, are in the
// listener's own status.
func (in Input) Explain() (pending, rolledOut string) {
	pending = "The configuration has not been written yet"
	if c, ok := in.programmed(); ok {
		switch {
		case c.Reason == v1alpha1.ReasonApplyFailed || c.Reason == v1alpha1.ReasonApplyPending || c.Reason == v1alpha1.ReasonInternalError:
			pending = "The configuration could not be written, and the operator retries; the listener's condition Programmed says why"
		case c.Reason == v1alpha1.ReasonConfigPending && in.Access.Delivered.Version != nil && in.Acks != nil && in.Acks.Ready > 0:
			pending = "Not every ready pod has loaded the configuration" + in.latePod()
		default:
			pending = c.Message
		}
	}
	if c, ok := in.rolledOut(); ok {
		rolledOut = c.Message
	} else if c := in.previous(v1alpha1.ConditionRolledOut); c != nil {
		rolledOut = c.Message
	}
	return pending, rolledOut
}

// volumesWritable turns pods' reports on volumes into a condition. Which of several problems it shows is stable: they are in
// the order of the spec.
func (in Input) volumesWritable() (metav1.Condition, bool) {
	if in.Acks == nil {
		return metav1.Condition{}, false
	}
	if len(in.Acks.Volumes) == 0 {
		if in.acknowledged() && in.previous(v1alpha1.ConditionVolumesWritable) != nil && !in.anyWriter() {
			return conditions.True(v1alpha1.ConditionVolumesWritable, v1alpha1.ReasonVolumesWritable, "No login may write to a volume"), true
		}
		return metav1.Condition{}, false
	}
	for _, v := range in.Listener.Spec.Volumes {
		for _, is := range in.Acks.Volumes {
			if is.Name == v.Name && is.Problem != "" {
				return volumeCondition(is, render.FixedGroup(in.Listener)), true
			}
		}
	}
	message := "All volumes that logins may write to are writable"
	return conditions.True(v1alpha1.ConditionVolumesWritable, v1alpha1.ReasonVolumesWritable, message), true
}

// anyWriter reports whether an accepted user may write somewhere.
func (in Input) anyWriter() bool {
	writes := func(d v1alpha1.Directory) bool { return attach.AccessOf(d) != v1alpha1.AccessReadOnly }
	return in.Access != nil && slices.ContainsFunc(in.Access.Users, func(u *compile.User) bool {
		s := &u.User.Spec
		return u.Accepted() && (writes(s.HomeDirectory) || slices.ContainsFunc(s.Mounts, func(m v1alpha1.Mount) bool { return writes(m.Directory) }))
	})
}

// volumeCondition returns the condition for a volume; fixedGroup reports whether the operator chooses the pods' group.
func volumeCondition(v ack.Volume, fixedGroup bool) metav1.Condition {
	no := func(reason, what, remedy string) metav1.Condition {
		return conditions.False(v1alpha1.ConditionVolumesWritable, reason, fmt.Sprintf("Volume %q %s in pod %s; %s", v.Name, what, v.Pod, remedy))
	}
	switch v.Problem {
	case config.VolumeReadOnly:
		return no(v1alpha1.ReasonVolumeReadOnly, "is read-only", "check its PersistentVolume's mount options, and the node's log for file system errors")
	case config.VolumeFull:
		return no(v1alpha1.ReasonVolumeFull, "is full", "remove files, or raise the claim's size or its quota")
	case config.VolumePermissionDenied:
		if !fixedGroup {
			return no(v1alpha1.ReasonVolumePermissionDenied, fmt.Sprintf("is not writable by UID %d and the pod's fsGroup: permission denied", v.UID),
				"give the pod's fsGroup, which the platform assigns, write permission on the volume's directory")
		}
		return no(v1alpha1.ReasonVolumePermissionDenied, fmt.Sprintf("is not writable by UID %d and group %d: permission denied", v.UID, render.PodGroup),
			fmt.Sprintf("give group %d write permission on the volume's directory", render.PodGroup))
	case config.VolumeNotMounted:
		return no(v1alpha1.ReasonVolumeNotMounted, "is not mounted", "a restart of the pod mounts it; see the condition RolledOut")
	case config.VolumeSilent:
		return no(v1alpha1.ReasonVolumeNoAnswer, "does not answer", "check whether the server of its PersistentVolume can be reached")
	case config.VolumeFailed:
	}
	return no(v1alpha1.ReasonVolumeFailed, "cannot be written", "the pod's log says why")
}

// rolledOut returns the condition on the pods' template.
func (in Input) rolledOut() (metav1.Condition, bool) {
	no := func(reason, message string) (metav1.Condition, bool) {
		return conditions.False(v1alpha1.ConditionRolledOut, reason, message), true
	}
	w := in.Workload.Rollout
	if w.Pending != nil {
		return no(string(w.Pending.Reason), fmt.Sprintf("A change to %s waits. %s", strings.Join(w.Pending.Changes, ", "), in.whyPending()))
	}
	if len(w.Changes) > 0 {
		message := fmt.Sprintf("The pods are being replaced because of a change to %s", strings.Join(w.Changes, ", "))
		if w.Recreate {
			message += "; the old one ends before the new one starts, because only one node can mount a volume"
		}
		return no(v1alpha1.ReasonRollingOut, message)
	}
	switch w.State {
	case workload.Starting:
		return no(v1alpha1.ReasonRollingOut, "The pods are being started")
	case workload.Rolling:
		return no(v1alpha1.ReasonRollingOut, "The pods are being replaced")
	case workload.Stuck:
		return no(v1alpha1.ReasonRolloutStalled, fmt.Sprintf("The new pods do not become ready; kubectl -n %s describe pods -l %s says why",
			in.Listener.Namespace, in.selector()))
	case workload.Complete:
		return conditions.True(v1alpha1.ConditionRolledOut, v1alpha1.ReasonRolledOut, "All pods run the current template"), true
	case workload.Held:
	}
	if old := in.Listener.Status.PendingRestart; old != nil {
		return no(v1alpha1.ReasonRolloutBlocked, fmt.Sprintf("A change to %s waits until the listener's other conditions are true", strings.Join(old.Changes, ", ")))
	}
	return metav1.Condition{}, false
}

// whyPending returns why a change to the pods waits, and what to do.
func (in Input) whyPending() string {
	w := in.Workload.Rollout
	switch w.Pending.Reason {
	case v1alpha1.PendingRestartReason(v1alpha1.ReasonRolloutPaused):
		return "infrastructure.rollout is Paused; set it to Automatic to replace the pods"
	case v1alpha1.PendingRestartReason(v1alpha1.ReasonRolloutQueued):
		return fmt.Sprintf("It begins automatically: %d of at most %d concurrent rollouts are running", w.Busy, in.MaxRollouts)
	}
	if w.Why != "" {
		return w.Why
	}
	return "The listener's other conditions must be true first"
}

// pendingRestart returns the waiting change, and whom it will disturb. A listener whose change currently can neither be
// made nor dropped keeps its place in the queue.
func (in Input) pendingRestart() *v1alpha1.ListenerPendingRestart {
	old, w := in.Listener.Status.PendingRestart, in.Workload.Rollout
	if w.Pending == nil {
		if old == nil || w.State != "" && w.State != workload.Held {
			return nil
		}
		kept := old.DeepCopy()
		kept.Reason = v1alpha1.ReasonRolloutBlocked
		return kept
	}
	p := &v1alpha1.ListenerPendingRestart{
		Reason: w.Pending.Reason, Changes: w.Pending.Changes, Since: metav1.NewTime(w.Pending.Since), Pods: new(int32(0)),
	}
	if in.Acks == nil {
		return p
	}
	p.Pods, p.Sessions = new(int32(in.Acks.Ready)), in.Acks.Sessions
	if old != nil && old.Sessions != nil && p.Sessions != nil && !in.Recount {
		p.Sessions = old.Sessions
	}
	return p
}
