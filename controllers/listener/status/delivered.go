package status

import (
	"fmt"
	"math"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/relay"
	"github.com/sftp-operator/sftp-operator/controllers/relay/watch"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// failing is how many attempts in a row fail before a receiver counts as one that accepts no events.
const failing = 3

// Relay is what is known of a listener's relay.
type Relay struct {
	// Plan is what was planned, nil if it could not be.
	Plan *relay.Plan
	// Answer is what the relay said last.
	Answer watch.Answer
}

// delivers fills in how events are delivered.
func (in Input) delivers(st *v1alpha1.SFTPListenerStatus) {
	if !relay.Wanted(in.Listener) {
		st.Events = nil
		meta.RemoveStatusCondition(&st.Conditions, v1alpha1.ConditionEventsDelivered)
		return
	}
	if a := in.Relay.Answer; a.Known && a.Failure == "" {
		st.Events = in.sinks(a.Status)
	}
	conditions.Set(&st.Conditions, in.Listener.Generation, in.eventsDelivered())
}

// sinks returns the status of the sinks of the spec that the relay knows, in the spec's order.
func (in Input) sinks(said delivery.Status) []v1alpha1.EventSinkStatus {
	var out []v1alpha1.EventSinkStatus
	for i := range in.Listener.Spec.Events.Sinks {
		name := in.Listener.Spec.Events.Sinks[i].Name
		for _, s := range said.Sinks {
			if s.Name != name {
				continue
			}
			e := v1alpha1.EventSinkStatus{Name: name, Pending: new(count(s.Pending)), DeadLetters: new(count(s.Dead)), State: v1alpha1.SinkDelivering}
			switch {
			case s.Held != "":
				e.State = v1alpha1.SinkHeld
			case s.Suspended != "":
				e.State = v1alpha1.SinkSuspended
			case s.Failing >= failing:
				e.State = v1alpha1.SinkFailing
			}
			if !s.Oldest.IsZero() && s.Pending > 0 {
				e.OldestTime = new(metav1.NewTime(s.Oldest.UTC().Truncate(time.Second)))
			}
			out = append(out, e)
			break
		}
	}
	return out
}

func count(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }

// eventsDelivered returns the condition on the events: what the owner has to correct comes first, then what is lost, and then
// what may pass.
func (in Input) eventsDelivered() metav1.Condition {
	no := func(reason, message string) metav1.Condition {
		return conditions.False(v1alpha1.ConditionEventsDelivered, reason, message)
	}
	unknown := func(reason, message string) metav1.Condition {
		return conditions.Unknown(v1alpha1.ConditionEventsDelivered, reason, message)
	}
	plan, answer := in.Relay.Plan, in.Relay.Answer
	switch {
	case plan == nil:
		return in.keep(unknown(v1alpha1.ReasonPending, "The relay is not planned yet"))
	case len(plan.Problems) > 0:
		return no(plan.Problems[0].Reason, joined(plan.Problems))
	case len(plan.Unreadable) > 0:
		return unknown(v1alpha1.ReasonSecretUnreadable, strings.Join(plan.Unreadable, "; ")+". Events are kept; the operator retries")
	case !answer.Known:
		return unknown(v1alpha1.ReasonPending, "The relay has not reported on the events yet")
	case answer.Failure != "":
		return unknown(v1alpha1.ReasonRelayUnreachable, fmt.Sprintf(
			"The relay does not report on the events: %s. They are kept; kubectl -n %s describe pods -l %s=%s says more",
			answer.Failure, in.Listener.Namespace, v1alpha1.LabelRelay, in.Listener.Name))
	}
	said := answer.Status
	if in.Acks != nil && in.Acks.Ready > 0 && said.Answering == 0 {
		return unknown(v1alpha1.ReasonRelayUnreachable, fmt.Sprintf(
			"The relay cannot reach any of the %d ready pods, whose events are kept: it must be able to resolve names, and to reach port %d of the pods; "+
				"kubectl -n %s logs deployment/%s says more", in.Acks.Ready, render.HealthPort, in.Listener.Namespace, render.RelayName(in.Listener)))
	}
	if said.Full > 0 {
		return no(v1alpha1.ReasonOutboxFull, fmt.Sprintf("%d pods have no room for further events of at least one user; see status.events for the sink that does not accept them, or raise spec.events.outbox.maxSize", said.Full))
	}
	if c, ok := worst(said.Sinks); ok {
		return no(c.Reason, c.Message)
	}
	if said.NotDurable > 0 {
		return conditions.True(v1alpha1.ConditionEventsDelivered, v1alpha1.ReasonEventsNotDurable,
			fmt.Sprintf("Events are delivered, but a pod that is killed may lose some: %s", strings.Join(said.Problems, "; ")))
	}
	return conditions.True(v1alpha1.ConditionEventsDelivered, v1alpha1.ReasonEventsDelivered, "Receivers accept the events that they are sent")
}

// worst returns the problem of the sinks that matters most.
func worst(sinks []delivery.SinkStatus) (conditions.Problem, bool) {
	for _, kind := range []struct {
		reason string
		is     func(s delivery.SinkStatus) string
	}{
		{v1alpha1.ReasonInvalidEventSink, func(s delivery.SinkStatus) string { return s.Held }},
		{v1alpha1.ReasonReceiverGone, func(s delivery.SinkStatus) string { return s.Suspended }},
		{v1alpha1.ReasonReceiverFailing, func(s delivery.SinkStatus) string {
			if s.Failing < failing {
				return ""
			}
			return fmt.Sprintf("%s. Its events are kept and sent again", s.Reason)
		}},
		{v1alpha1.ReasonDeadLetters, func(s delivery.SinkStatus) string {
			if s.Dead == 0 {
				return ""
			}
			return "events could not be delivered, and are kept as dead letters; kubectl sftp events list shows them"
		}},
	} {
		var found []string
		for _, s := range sinks {
			if text := kind.is(s); text != "" {
				found = append(found, fmt.Sprintf("sink %q: %s", s.Name, text))
			}
		}
		if len(found) > 0 {
			message := strings.Join(found, "; ")
			return conditions.Problem{Reason: kind.reason, Message: strings.ToUpper(message[:1]) + message[1:]}, true
		}
	}
	return conditions.Problem{}, false
}
