package operator

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

func eventsOf(t *testing.T, ns, reason string) (found []string) {
	t.Helper()
	for _, o := range items(t, &eventsv1.EventList{}, ns) {
		if e := o.(*eventsv1.Event); e.Reason == reason {
			found = append(found, e.Type+" "+e.Note)
		}
	}
	return found
}

// A volume that cannot be written is reported in plain words before a partner notices. Logins continue.
func TestVolumeThatCannotBeWritten(t *testing.T) {
	ns := namespace(t, nil)
	say := func(problem config.VolumeProblem) {
		pods.behave(ns, behavior{volumes: []config.VolumeStatus{{Name: "home", Problem: problem, UID: 1000}}})
	}
	say("")
	l := readyListener(t, ns)
	u := newUser(ns, "acme")
	create(t, u)
	waitReady(t, u)
	waitFor(t, l, "VolumesWritable", "True", "VolumesWritable", "All volumes that logins may write to are writable")
	wakes := 0
	wake := func() { // triggered by a change, because the next poll is a minute away
		wakes++
		change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Limits.MaxConnections = new(int32(100 + wakes)) })
	}
	const pod = `in pod partners-sftp-a; `
	for _, c := range []struct {
		problem         config.VolumeProblem
		reason, message string
	}{
		{config.VolumeReadOnly, "VolumeReadOnly", `Volume "home" is read-only ` + pod + `check its PersistentVolume's mount options, and the node's log for file system errors`},
		{config.VolumeFull, "VolumeFull", `Volume "home" is full ` + pod + `remove files, or raise the claim's size or its quota`},
		{config.VolumePermissionDenied, "VolumePermissionDenied", `Volume "home" is not writable by UID 1000 and group 65532: permission denied ` + pod + `give group 65532 write permission on the volume's directory`},
		{config.VolumeSilent, "VolumeNoAnswer", `Volume "home" does not answer ` + pod + `check whether the server of its PersistentVolume can be reached`},
		{"of a later version", "VolumeFailed", `Volume "home" cannot be written ` + pod + `the pod's log says why`},
	} {
		say(c.problem)
		wake()
		waitFor(t, l, "VolumesWritable", "False", c.reason, c.message)
		eventually(t, func() error {
			if got := eventsOf(t, ns, c.reason); len(got) != 1 || got[0] != "Warning "+c.message {
				return fmt.Errorf("events %q", got)
			}
			return nil
		})
	}
	waitFor(t, l, "Ready", "True", "Ready", "")
	waitReady(t, u)

	pods.behave(ns, behavior{}) // the pod was restarted, and has not checked yet
	wake()
	waitFor(t, l, "Ready", "True", "Ready", "")
	if c := meta.FindStatusCondition(l.Status.Conditions, "VolumesWritable"); c.Reason != "VolumeFailed" {
		t.Errorf("nothing is known, but the condition changed to %+v", c)
	}
	say("")
	wake()
	waitFor(t, l, "VolumesWritable", "True", "VolumesWritable", "All volumes that logins may write to are writable")
	remove(t, u)
	pods.behave(ns, behavior{})
	waitFor(t, l, "VolumesWritable", "True", "VolumesWritable", "No login may write to a volume")
}

// A pod that is older than a volume does not have it: a user with a directory there is not ready until a new pod has the
// volume, even though all pods have acknowledged.
func TestVolumeThatPodsLack(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns, func(l *v1alpha1.SFTPListener) { l.Spec.Infrastructure.Rollout = v1alpha1.RolloutPaused })
	acme := newUser(ns, "acme")
	create(t, acme)
	waitReady(t, acme)
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Volumes = append(l.Spec.Volumes, v1alpha1.ListenerVolume{Name: "more", EmptyDir: &v1alpha1.EmptyDirVolume{}})
	})
	waitFor(t, l, "RolledOut", "False", "RolloutPaused", "")
	bob := newUser(ns, "bob", func(u *v1alpha1.SFTPUser) { u.Spec.HomeDirectory.Volume = "more" })
	create(t, bob)
	waitFor(t, bob, "Ready", "False", "VolumeNotMounted", "")
	c := conditionsOf(bob)
	if text := fmt.Sprint(c); !strings.Contains(text, `A pod of the listener is older than its volume "more" and does not have it: A change to volumes waits.`) {
		t.Errorf("conditions %s", text)
	}
	waitReady(t, acme)
	waitFor(t, l, "Ready", "True", "Ready", "")

	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Infrastructure.Rollout = v1alpha1.RolloutAutomatic })
	waitFor(t, l, "RolledOut", "False", "RollingOut", "")
	readyPod(t, l, "b")
	old := &corev1.Pod{}
	get(t, old, ns, "partners-sftp-a")
	waitFor(t, bob, "Ready", "False", "VolumeNotMounted", "") // the old one still serves
	setReady(t, old, corev1.ConditionFalse)
	waitReady(t, bob)
}
