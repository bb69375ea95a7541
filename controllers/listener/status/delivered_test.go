package status

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/relay"
	"github.com/sftp-operator/sftp-operator/controllers/relay/watch"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// TestEventsDelivered: each thing that can be wrong has its reason, and what the owner has to correct comes first.
func TestEventsDelivered(t *testing.T) {
	said := func(change func(*delivery.Status)) Relay {
		s := delivery.Status{Pods: 1, Answering: 1, Sinks: []delivery.SinkStatus{{Name: "jobs"}}}
		change(&s)
		return Relay{Plan: &relay.Plan{}, Answer: watch.Answer{Known: true, Status: s}}
	}
	sink := func(s delivery.SinkStatus) Relay {
		s.Name = "jobs"
		return said(func(all *delivery.Status) { all.Sinks = []delivery.SinkStatus{s} })
	}
	bad := []conditions.Problem{{Reason: v1alpha1.ReasonSecretNotFound, Message: "no Secret"}, {Reason: v1alpha1.ReasonInvalidEventSink, Message: "no URL"}}
	for name, c := range map[string]struct {
		relay           Relay
		ready           int
		status          metav1.ConditionStatus
		reason, message string
	}{
		"not planned":      {Relay{}, 1, metav1.ConditionUnknown, v1alpha1.ReasonPending, "The relay is not planned yet"},
		"mistakes":         {Relay{Plan: &relay.Plan{Problems: bad}}, 1, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound, "no Secret; no URL"},
		"unreadable":       {Relay{Plan: &relay.Plan{Unreadable: []string{"a", "b"}}}, 1, metav1.ConditionUnknown, v1alpha1.ReasonSecretUnreadable, "a; b. Events are kept; the operator retries"},
		"no answer yet":    {Relay{Plan: &relay.Plan{}}, 1, metav1.ConditionUnknown, v1alpha1.ReasonPending, "The relay has not reported on the events yet"},
		"does not answer":  {Relay{Plan: &relay.Plan{}, Answer: watch.Answer{Known: true, Failure: "refused"}}, 1, metav1.ConditionUnknown, v1alpha1.ReasonRelayUnreachable, "The relay does not report on the events: refused. They are kept; kubectl -n files describe pods -l sftp-operator.io/relay=partners says more"},
		"reaches no pod":   {said(func(s *delivery.Status) { s.Pods, s.Answering = 0, 0 }), 2, metav1.ConditionUnknown, v1alpha1.ReasonRelayUnreachable, "The relay cannot reach any of the 2 ready pods, whose events are kept: it must be able to resolve names, and to reach port 8081 of the pods; kubectl -n files logs deployment/partners-sftp-relay says more"},
		"there are none":   {said(func(s *delivery.Status) { s.Pods, s.Answering = 0, 0 }), 0, metav1.ConditionTrue, v1alpha1.ReasonEventsDelivered, "Receivers accept the events that they are sent"},
		"full":             {said(func(s *delivery.Status) { s.Full = 2; s.Sinks[0].Dead = 1 }), 1, metav1.ConditionFalse, v1alpha1.ReasonOutboxFull, "2 pods have no room for further events of at least one user; see status.events for the sink that does not accept them, or raise spec.events.outbox.maxSize"},
		"held":             {sink(delivery.SinkStatus{Held: "no host", Suspended: "gone", Dead: 1}), 1, metav1.ConditionFalse, v1alpha1.ReasonInvalidEventSink, `Sink "jobs": no host`},
		"gone":             {sink(delivery.SinkStatus{Suspended: "410", Failing: failing, Reason: "r"}), 1, metav1.ConditionFalse, v1alpha1.ReasonReceiverGone, `Sink "jobs": 410`},
		"failing":          {sink(delivery.SinkStatus{Failing: failing, Reason: "r", Dead: 1}), 1, metav1.ConditionFalse, v1alpha1.ReasonReceiverFailing, `Sink "jobs": r. Its events are kept and sent again`},
		"failing for once": {sink(delivery.SinkStatus{Failing: failing - 1, Reason: "r"}), 1, metav1.ConditionTrue, v1alpha1.ReasonEventsDelivered, "Receivers accept the events that they are sent"},
		"dead":             {sink(delivery.SinkStatus{Dead: 1}), 1, metav1.ConditionFalse, v1alpha1.ReasonDeadLetters, `Sink "jobs": events could not be delivered, and are kept as dead letters; kubectl sftp events list shows them`},
		"not durable":      {said(func(s *delivery.Status) { s.NotDurable, s.Problems = 1, []string{"a", "b"} }), 1, metav1.ConditionTrue, v1alpha1.ReasonEventsNotDurable, "Events are delivered, but a pod that is killed may lose some: a; b"},
		"well":             {said(func(*delivery.Status) {}), 1, metav1.ConditionTrue, v1alpha1.ReasonEventsDelivered, "Receivers accept the events that they are sent"},
	} {
		l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "files", Name: "partners"}}
		got := Input{Listener: l, Relay: c.relay, Acks: &ack.Result{Ready: c.ready}}.eventsDelivered()
		if got.Status != c.status || got.Reason != c.reason || got.Message != c.message {
			t.Errorf("%s: %s %s %q", name, got.Status, got.Reason, got.Message)
		}
	}
	if got := (Input{Listener: &v1alpha1.SFTPListener{}, Relay: said(func(s *delivery.Status) { s.Answering = 0 })}).eventsDelivered(); got.Status != metav1.ConditionTrue {
		t.Errorf("without news of the pods: %+v", got)
	}
}
