package operator

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

const nextImage = "sftp-operator:next"

func deploymentOf(t *testing.T, l *v1alpha1.SFTPListener) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{}
	eventually(t, func() error {
		return api.Get(t.Context(), client.ObjectKey{Namespace: l.Namespace, Name: l.Name + "-sftp"}, d)
	})
	return d
}

// rollsTo plays the Deployment's controller: pods of the current template are being created, or all exist.
func rollsTo(t *testing.T, l *v1alpha1.SFTPListener, complete bool) {
	t.Helper()
	d := deploymentOf(t, l)
	before := d.DeepCopy()
	c := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "ReplicaSetUpdated"}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1}
	if complete {
		c.Reason = "NewReplicaSetAvailable"
		d.Status.AvailableReplicas, d.Status.ReadyReplicas = 1, 1
	}
	d.Status.Conditions = []appsv1.DeploymentCondition{c}
	if err := api.Status().Patch(t.Context(), d, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

func imageOf(t *testing.T, l *v1alpha1.SFTPListener) string {
	t.Helper()
	return deploymentOf(t, l).Spec.Template.Spec.Containers[0].Image
}

// rolledOutListener returns a listener that is ready and whose pods all exist.
func rolledOutListener(t *testing.T, ns string, edits ...func(*v1alpha1.SFTPListener)) *v1alpha1.SFTPListener {
	t.Helper()
	l := readyListener(t, ns, edits...)
	waitFor(t, l, "RolledOut", "False", "RollingOut", "")
	rollsTo(t, l, true)
	waitFor(t, l, "RolledOut", "True", "RolledOut", "All pods run the current template")
	return l
}

// fleetOf creates listeners and returns which have an image.
func fleetOf(t *testing.T, n int) (fleet []*v1alpha1.SFTPListener, with func(image string) (of []*v1alpha1.SFTPListener)) {
	t.Helper()
	for range n {
		fleet = append(fleet, rolledOutListener(t, namespace(t, nil)))
	}
	return fleet, func(image string) []*v1alpha1.SFTPListener {
		var of []*v1alpha1.SFTPListener
		for _, l := range fleet {
			if imageOf(t, l) == image {
				of = append(of, l)
			}
		}
		return of
	}
}

func waitQueued(t *testing.T, l *v1alpha1.SFTPListener) {
	t.Helper()
	waitFor(t, l, "RolledOut", "False", "RolloutQueued",
		"A change to image waits. It begins automatically: 2 of at most 2 concurrent rollouts are running")
}

// An upgrade of the operator rolls out two listeners at a time, which is the limit, even when the operator restarts in between.
// Pending rollouts are in the status, with their cost.
func TestUpgradeIsPaced(t *testing.T) {
	fleet, with := fleetOf(t, 5)
	for _, l := range fleet {
		pods.behave(l.Namespace, behavior{sessions: 7})
	}
	upgradeOperator(t, nextImage)
	var waiting []*v1alpha1.SFTPListener
	look := func() {
		t.Helper()
		rolling := with(nextImage)
		for _, l := range rolling {
			waitFor(t, l, "RolledOut", "False", "RollingOut", "")
		}
		waiting = nil
		for _, l := range fleet {
			if !slices.Contains(rolling, l) {
				waitQueued(t, l)
				waiting = append(waiting, l)
			}
		}
		if len(rolling) != 2 {
			t.Fatalf("%d are rolled out at a time", len(rolling))
		}
	}
	eventually(t, func() error {
		if n := len(with(nextImage)); n != 2 {
			return fmt.Errorf("%d of 5 are rolled out, want 2", n)
		}
		return nil
	})
	look()
	for _, l := range waiting {
		eventually(t, func() error { // the number of sessions is known once the new operator has asked the pods
			get(t, l, l.Namespace, l.Name)
			p := l.Status.PendingRestart
			if p == nil || p.Reason != "RolloutQueued" || fmt.Sprint(p.Changes) != "[image]" || *p.Pods != 1 || p.Sessions == nil || *p.Sessions != 7 {
				return fmt.Errorf("status.pendingRestart of %s: %+v", l.Namespace, p)
			}
			return nil
		})
		waitFor(t, l, "Ready", "True", "Ready", "")
	}
	restartOperator(t, func() {})
	newcomer := newUser(waiting[0].Namespace, "acme") // when it is ready, the restarted operator has evaluated the others
	create(t, newcomer)
	waitReady(t, newcomer)
	look()

	// One after another, in the order of the queue.
	slices.SortFunc(waiting, func(a, b *v1alpha1.SFTPListener) int {
		if d := a.Status.PendingRestart.Since.Compare(b.Status.PendingRestart.Since.Time); d != 0 {
			return d
		}
		return strings.Compare(a.Namespace, b.Namespace)
	})
	rolling := with(nextImage)
	for _, next := range slices.Clone(waiting) {
		rollsTo(t, rolling[0], true)
		waitFor(t, rolling[0], "RolledOut", "True", "RolledOut", "")
		waitFor(t, next, "RolledOut", "False", "RollingOut", "")
		if next.Status.PendingRestart != nil {
			t.Errorf("it does not wait anymore: %+v", next.Status.PendingRestart)
		}
		rolling = append(rolling[1:], next)
		done := len(fleet) - len(waiting) - 1 // those that were complete before
		waiting = waiting[1:]
		if n := len(with(nextImage)) - done; n != 2 {
			t.Fatalf("%d at a time", n)
		}
	}
}

// A new listener and a change made by an owner do not wait for an upgrade.
func TestOwnersDoNotQueue(t *testing.T) {
	fleet, with := fleetOf(t, 3)
	upgradeOperator(t, nextImage)
	var last *v1alpha1.SFTPListener
	eventually(t, func() error {
		rolling := with(nextImage)
		if len(rolling) != 2 {
			return fmt.Errorf("%d of 3 are rolled out, want 2", len(rolling))
		}
		i := slices.IndexFunc(fleet, func(l *v1alpha1.SFTPListener) bool { return !slices.Contains(rolling, l) })
		last = fleet[i]
		return nil
	})
	waitQueued(t, last)
	if got := imageOf(t, readyListener(t, namespace(t, nil))); got != nextImage {
		t.Errorf("the new listener has the image %s", got)
	}
	// A change that does not restart pods gets no priority.
	change(t, last, func(l *v1alpha1.SFTPListener) { l.Spec.AllowedCIDRs = []string{"192.0.2.0/24"} })
	waitQueued(t, last)
	change(t, last, func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(3000)) })
	waitFor(t, last, "RolledOut", "False", "RollingOut", "The pods are being replaced because of a change to image, maxUsers")
	if last.Status.PendingRestart != nil || imageOf(t, last) != nextImage {
		t.Errorf("image %s, pending %+v", imageOf(t, last), last.Status.PendingRestart)
	}
}

// A listener whose rollouts are paused keeps its pods as they are. Users, settings and the number of pods can still be changed.
func TestRolloutIsPaused(t *testing.T) {
	ns := namespace(t, nil)
	l := rolledOutListener(t, ns)
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Infrastructure.Rollout = v1alpha1.RolloutPaused
		l.Spec.Shutdown.DrainTimeoutSeconds = new(int32(77))
	})
	waitFor(t, l, "RolledOut", "False", "RolloutPaused", "A change to shutdown waits. infrastructure.rollout is Paused; set it to Automatic to replace the pods")
	before := deploymentOf(t, l)
	upgradeOperator(t, nextImage)
	waitFor(t, l, "RolledOut", "False", "RolloutPaused", "A change to image, shutdown waits. infrastructure.rollout is Paused; set it to Automatic to replace the pods")

	acme, odd := newUser(ns, "acme"), newUser(ns, "odd")
	pods.behave(ns, behavior{rejects: []string{"odd"}}) // the old daemon does not know a field in the user's record
	create(t, acme)
	create(t, odd)
	waitReady(t, acme)
	waitFor(t, odd, "Ready", "False", "UserRejected",
		"A pod of the listener cannot use this user's record; see its log. Usually its image is older than the operator; the listener's rollouts are paused")
	waitFor(t, l, "Ready", "True", "Ready", "")
	if got := pods.settings(ns).Shutdown.DrainTimeoutSeconds; got != 77 {
		t.Errorf("the pods have a drain time of %d s: settings are also waiting", got)
	}
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Replicas = new(int32(0)) })
	eventually(t, func() error {
		if d := deploymentOf(t, l); *d.Spec.Replicas != 0 {
			return fmt.Errorf("the Deployment has %d replicas", *d.Spec.Replicas)
		}
		return nil
	})
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Replicas = new(int32(1)) })
	eventually(t, func() error {
		if d := deploymentOf(t, l); *d.Spec.Replicas != 1 {
			return fmt.Errorf("the Deployment has %d replicas", *d.Spec.Replicas)
		}
		return nil
	})
	waitFor(t, l, "Ready", "True", "Ready", "")
	after := deploymentOf(t, l)
	if !equality.Semantic.DeepEqual(after.Spec.Template, before.Spec.Template) {
		t.Errorf("the pod template was\n%+v\nand is now\n%+v", before.Spec.Template, after.Spec.Template)
	}

	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Infrastructure.Rollout = v1alpha1.RolloutAutomatic })
	waitFor(t, l, "RolledOut", "False", "RollingOut", "The pods are being replaced because of a change to image, shutdown")
	if l.Status.PendingRestart != nil || imageOf(t, l) != nextImage {
		t.Errorf("image %s, pending %+v", imageOf(t, l), l.Status.PendingRestart)
	}
}

// A listener that serves no users takes no slot, so that broken ones do not stop an upgrade.
func TestBrokenListenersTakeNoTurn(t *testing.T) {
	fleet, with := fleetOf(t, 4)
	for _, l := range fleet[:3] {
		rollsTo(t, l, false)
	}
	upgradeOperator(t, nextImage)
	eventually(t, func() error {
		if n := len(with(nextImage)); n != 4 {
			return fmt.Errorf("%d of 4 have the new image", n)
		}
		return nil
	})
}

// An object that cannot be created now does not delay the others, and is created later.
func TestBlockedRolloutKeepsItsPlace(t *testing.T) {
	fleet, with := fleetOf(t, 4)
	upgradeOperator(t, nextImage)
	eventually(t, func() error {
		if n := len(with(nextImage)); n != 2 {
			return fmt.Errorf("%d of 4 are rolled out, want 2", n)
		}
		return nil
	})
	rolling := with(nextImage)
	var waiting []*v1alpha1.SFTPListener
	for _, l := range fleet {
		if !slices.Contains(rolling, l) {
			waitQueued(t, l)
			waiting = append(waiting, l)
		}
	}
	slices.SortFunc(waiting, func(a, b *v1alpha1.SFTPListener) int {
		if d := a.Status.PendingRestart.Since.Compare(b.Status.PendingRestart.Since.Time); d != 0 {
			return d
		}
		return strings.Compare(a.Namespace, b.Namespace)
	})
	first, second := waiting[0], waiting[1]
	since := first.Status.PendingRestart.Since
	change(t, first, func(l *v1alpha1.SFTPListener) {
		l.Spec.Volumes = append(l.Spec.Volumes, v1alpha1.ListenerVolume{Name: "more", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "missing"}})
	})
	waitFor(t, first, "RolledOut", "False", "RolloutBlocked", "")
	if !first.Status.PendingRestart.Since.Equal(&since) {
		t.Errorf("has been waiting since %s, previously since %s", first.Status.PendingRestart.Since, since)
	}
	rollsTo(t, rolling[0], true)
	waitFor(t, second, "RolledOut", "False", "RollingOut", "")
}

// Before the only pod is removed, there is one warning.
func TestRestartOfTheOnlyPodIsAnnounced(t *testing.T) {
	ns := namespace(t, nil)
	create(t, claim(ns, "files", corev1.ReadWriteOnce))
	l := rolledOutListener(t, ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "files"}}}
	})
	warnings := func() (found []string) {
		for _, o := range items(t, &eventsv1.EventList{}, ns) {
			if e := o.(*eventsv1.Event); e.Reason == "PodRestart" {
				found = append(found, e.Type+" "+e.Note)
			}
		}
		return found
	}
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.AllowedCIDRs = []string{"192.0.2.0/24"} })
	waitFor(t, l, "Ready", "True", "Ready", "")
	if got := warnings(); len(got) != 0 {
		t.Errorf("nothing restarts, but there is %q", got)
	}
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Shutdown.DrainTimeoutSeconds = new(int32(30)) })
	waitFor(t, l, "RolledOut", "False", "RollingOut",
		"The pods are being replaced because of a change to shutdown; the old one ends before the new one starts, because only one node can mount a volume")
	want := "Warning A change to shutdown restarts the only pod: its transfers may continue for 30 seconds, and clients cannot log in until the new pod is ready. ReadWriteMany claims avoid that"
	eventually(t, func() error {
		if got := warnings(); len(got) != 1 || got[0] != want {
			return fmt.Errorf("warnings %q, want %q", got, want)
		}
		return nil
	})
}
