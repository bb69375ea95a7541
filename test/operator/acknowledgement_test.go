package operator

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// A user is Ready when every ready pod has loaded it, not when its Secret is written.
func TestNoReadyWithoutAcknowledgement(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	old := newUser(ns, "old")
	create(t, old)
	waitReady(t, old)

	pods.behave(ns, behavior{frozen: true})
	u := newUser(ns, "acme")
	create(t, u)
	waitFor(t, u, "Ready", "False", "ConfigPending",
		"The listener's pods have not loaded this user yet: Not every ready pod has loaded the configuration")
	waitFor(t, l, "Programmed", "False", "ConfigPending", "0 of 1 ready pods have loaded the configuration")
	waitFor(t, old, "Ready", "True", "Ready", "") // its own record is in the pods the whole time

	pods.behave(ns, behavior{})
	waitReady(t, u)
	waitFor(t, l, "Ready", "True", "Ready", "")
}

func TestPodIsPoked(t *testing.T) {
	ns := namespace(t, nil)
	l := newListener(ns)
	create(t, l)
	waiting := pod(t, l, "a")
	setReady(t, waiting, corev1.ConditionFalse) // a pod without its configuration is not ready
	eventually(t, func() error {
		get(t, waiting, ns, waiting.Name)
		if waiting.Annotations[v1alpha1.AnnotationConfigDigest] == "" || waiting.Annotations[v1alpha1.AnnotationSyncRequested] == "" {
			return fmt.Errorf("annotations %v", waiting.Annotations)
		}
		return nil
	})
	setReady(t, waiting, corev1.ConditionTrue)
	waitFor(t, l, "Ready", "True", "Ready", "")
	eventually(t, func() error {
		get(t, l, ns, l.Name)
		get(t, waiting, ns, waiting.Name)
		if told := waiting.Annotations[v1alpha1.AnnotationConfigDigest]; told != l.Status.ConfigDigest {
			return fmt.Errorf("the pod was notified of %s, the listener's status has %s", told, l.Status.ConfigDigest)
		}
		return nil
	})
}

func TestPodThatRefusesTheConfiguration(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	pods.behave(ns, behavior{broken: true})
	u := newUser(ns, "acme")
	create(t, u)
	message := "A pod rejected the configuration and keeps the previous one: pod partners-sftp-a: hostkey-0: no space left on device"
	waitFor(t, l, "Programmed", "False", "ConfigRejected", message)
	waitFor(t, l, "Ready", "False", "ConfigRejected", message)
	waitFor(t, u, "Ready", "False", "ConfigPending", "The listener's pods have not loaded this user yet: "+message)
}

func TestPodThatDoesNotAnswer(t *testing.T) {
	ns := namespace(t, nil)
	pods.behave(ns, behavior{unreachable: true})
	l := newListener(ns)
	create(t, l)
	readyPod(t, l, "a")
	message := "The operator cannot reach port 8081 of the pods; check NetworkPolicies: pod partners-sftp-a: connection refused"
	waitFor(t, l, "Programmed", "Unknown", "PodUnreachable", message)
	waitFor(t, l, "Ready", "False", "PodUnreachable", message)
}

func TestPodThatCannotUseAUser(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	pods.behave(ns, behavior{rejects: []string{"acme"}})
	u, other := newUser(ns, "acme"), newUser(ns, "other")
	create(t, u)
	create(t, other)
	waitFor(t, u, "Ready", "False", "UserRejected",
		"A pod of the listener cannot use this user's record; see its log. Usually its image is older than the operator")
	waitReady(t, other)
	waitFor(t, l, "Ready", "True", "Ready", "")
}

// A pod that is added later loads the current configuration; a crash must not make all users not ready.
func TestPodsComeAndGo(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	u := newUser(ns, "acme")
	create(t, u)
	waitReady(t, u)
	version := u.ResourceVersion

	only := &corev1.Pod{}
	get(t, only, ns, "partners-sftp-a")
	setReady(t, only, corev1.ConditionFalse)
	waitFor(t, l, "Ready", "False", "PodsUnavailable", "")
	readyPod(t, l, "b")
	waitFor(t, l, "Ready", "True", "Ready", "")
	setReady(t, only, corev1.ConditionTrue)
	waitFor(t, l, "Programmed", "True", "Programmed", "All 2 ready pods have loaded the configuration")
	get(t, u, ns, u.Name)
	if u.ResourceVersion != version {
		t.Error("the user's status was written because of a pod")
	}
}
