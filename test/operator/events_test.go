package operator

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// eventsBut returns the events of a namespace except those about markers, with their versions, which repetitions change.
func eventsBut(t *testing.T, ns string, markers ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, o := range items(t, &eventsv1.EventList{}, ns) {
		e := o.(*eventsv1.Event)
		marks := false
		for _, m := range markers {
			marks = marks || e.Regarding.Name == m
		}
		if !marks {
			out[fmt.Sprintf("%s %s %s: %s", e.Regarding.Kind, e.Regarding.Name, e.Reason, e.Note)] = e.ResourceVersion
		}
	}
	return out
}

// Events report changes: a reconcile of any kind that finds no change, and an operator that starts, emit none. Events are
// written in order: once a marker's event exists, all earlier ones have been written.
func TestEventsAreOfTransitions(t *testing.T) {
	ns, acme := busyNamespace(t)
	key := partnerKey(ns, "acme-2026", ns+"partner", assignedTo("acme"))
	create(t, key)
	waitFor(t, key, "Ready", "True", "Ready", "")
	waitReady(t, acme)
	mark := func(name string) {
		create(t, newUser(ns, name))
		eventually(t, func() error {
			for _, o := range items(t, &eventsv1.EventList{}, ns) {
				if e := o.(*eventsv1.Event); e.Regarding.Name == name && e.Reason == v1alpha1.ReasonReady {
					return nil
				}
			}
			return fmt.Errorf("there is no event about %s", name)
		})
	}
	compare := func(when string, before map[string]string) {
		for event, version := range eventsBut(t, ns, "first", "second", "third") {
			if before[event] != version {
				t.Errorf("%s there is an event: %s", when, event)
			}
		}
	}
	mark("first")
	before := eventsBut(t, ns, "first")
	for _, want := range []string{"SFTPListener partners Ready: Clients can log in", "SFTPUser acme Ready: The user can log in"} {
		if before[want] == "" {
			t.Errorf("there is no event %q among %q", want, before)
		}
	}

	counts := map[string]float64{}
	for _, controller := range []string{"listener", "user", "key"} {
		counts[controller] = reconciles(t, controller)
	}
	// These changes have no effect: a generation that increases, a Secret that claims to be the listener's, and a label on a
	// key's Secret.
	change(t, acme, func(u *v1alpha1.SFTPUser) { u.Spec.HomeDirectory.Volume = "home" /* as without it */ })
	hostKey := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-ed25519"}}
	change(t, hostKey, func(s *corev1.Secret) { metav1.SetMetaDataLabel(&s.ObjectMeta, "example.com/no", "matter") })
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "unrelated", Labels: map[string]string{v1alpha1.LabelListener: "partners"}}})
	eventually(t, func() error {
		for controller, n := range counts {
			if reconciles(t, controller) == n {
				return fmt.Errorf("%s has reconciled nothing", controller)
			}
		}
		return nil
	})
	mark("second")
	compare("after reconciles", before)
	restartOperator(t, func() {})
	mark("third")
	compare("after a restart", before)
}
