package listener

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

func (s *scope) initConditions() {
	s.accepted = conditions.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "The spec is acted upon")
	if warning := s.policy.Warning(s.listener); warning != "" {
		s.accepted = conditions.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonCryptoPolicyExpired, warning)
	}
	s.resolved = conditions.True(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, "Host keys and claims are usable")
	s.programmed = conditions.False(v1alpha1.ConditionProgrammed, v1alpha1.ReasonConfigPending, "The configuration is not written yet")
}

func (s *scope) pause() {
	s.accepted = conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonPaused,
		fmt.Sprintf("Nothing is changed while the annotation %s is \"true\"; remove it to go on", v1alpha1.AnnotationPaused))
	if c := meta.FindStatusCondition(s.before.Status.Conditions, v1alpha1.ConditionResolvedRefs); c != nil {
		s.resolved = *c
	}
	if c := meta.FindStatusCondition(s.before.Status.Conditions, v1alpha1.ConditionProgrammed); c != nil {
		s.programmed = *c
	}
}

// unresolved notes the first thing that is missing.
func (s *scope) unresolved(reason, message string) {
	switch {
	case s.resolved.Status != metav1.ConditionTrue:
	case reason == v1alpha1.ReasonPending:
		s.resolved = conditions.Unknown(v1alpha1.ConditionResolvedRefs, reason, message)
	default:
		s.resolved = conditions.False(v1alpha1.ConditionResolvedRefs, reason, message)
	}
}

// retryIn asks for another reconcile, the earliest wish wins.
func (s *scope) retryIn(d time.Duration) {
	if s.retry == 0 || d < s.retry {
		s.retry = d
	}
}

// requeueAfter is when to look again without being woken: at the next expiry, or as a
// phase wished.
func (s *scope) requeueAfter() time.Duration {
	if !s.nextExpiry.IsZero() {
		s.retryAt(s.nextExpiry)
	}
	if t := s.policy.Expires; t != nil {
		s.retryAt(t.Time)
	}
	return s.retry
}

func (s *scope) retryAt(t time.Time) { s.retryIn(max(t.Sub(s.Now()), 10*time.Millisecond)) }

// writeStatus writes the status once, if anything in it has changed.
func (s *scope) writeStatus(ctx context.Context) error {
	st := &s.listener.Status
	ready := s.judgeReady()
	if s.accepted.Reason != v1alpha1.ReasonPaused {
		s.countPending()
		s.describe(st)
	}
	conditions.Set(&st.Conditions, s.listener.Generation, s.accepted, s.resolved, s.programmed, ready)
	if c, ok := s.judgeVolumes(); ok {
		conditions.Set(&st.Conditions, s.listener.Generation, c)
	}
	if s.rolledOut.Type != "" {
		conditions.Set(&st.Conditions, s.listener.Generation, s.rolledOut)
	}
	s.publishState(ready)
	st.ObservedGeneration = s.listener.Generation
	if equality.Semantic.DeepEqual(s.before.Status, *st) {
		return nil
	}
	patch, err := statusPatch(s.listener)
	if err != nil {
		return err
	}
	if err := s.Client.Status().Patch(ctx, s.listener, patch); err != nil {
		return client.IgnoreNotFound(err)
	}
	s.written.Note(s.listener)
	s.announce(ready)
	s.announceVolumes()
	return nil
}

// statusPatch writes the status of this listener, and not of one that was made again under its
// name since: JSON Patch (RFC 6902) can test what it changes.
func statusPatch(l *v1alpha1.SFTPListener) (client.Patch, error) {
	data, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": l.UID},
		{"op": "add", "path": "/status", "value": l.Status},
	})
	return client.RawPatch(types.JSONPatchType, data), err
}

func (s *scope) describe(st *v1alpha1.SFTPListenerStatus) {
	attached := int32(0)
	for _, d := range s.decisions {
		if d.Accepted() && !s.left[string(d.User.UID)] {
			attached++
		}
	}
	if s.credentials != nil {
		st.AttachedUsers = &attached
	}
	if s.credentials != nil {
		proved := s.provedUsers()
		for i := range st.HostKeys {
			st.HostKeys[i].ProvedUsers = new(proved[st.HostKeys[i].Fingerprint])
		}
	}
	s.describeKnownHosts()
	st.CryptoPolicy, st.CryptoPolicyExpirationTime = s.policy.Name, s.policy.Expires
	st.Selector = labels.SelectorFromSet(render.Selector(s.listener)).String()
	st.Replicas = new(int32(s.acks.Ready))
}

func (s *scope) judgeReady() condition {
	no := func(reason, message string) condition {
		return conditions.False(v1alpha1.ConditionReady, reason, message)
	}
	switch {
	case s.accepted.Status != metav1.ConditionTrue:
		return no(v1alpha1.ReasonNotAccepted, s.accepted.Message)
	case s.resolved.Status == metav1.ConditionUnknown:
		return conditions.Unknown(v1alpha1.ConditionReady, v1alpha1.ReasonPending, s.resolved.Message)
	case s.resolved.Status != metav1.ConditionTrue:
		return no(v1alpha1.ReasonUnresolvedRefs, s.resolved.Message)
	case s.replicas() == 0:
		return no(v1alpha1.ReasonScaledToZero, "spec.replicas is 0; raise it to serve clients")
	case s.programmed.Reason == v1alpha1.ReasonConfigPending && s.files.Digest != "" && s.acks.Ready == 0:
		return no(v1alpha1.ReasonPodsUnavailable, fmt.Sprintf("No pod is ready; kubectl -n %s describe pods -l %s=%s says why",
			s.listener.Namespace, v1alpha1.LabelListener, s.listener.Name))
	case s.programmed.Status != metav1.ConditionTrue:
		return no(v1alpha1.ReasonNotProgrammed, s.programmed.Message)
	}
	return conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "Clients can log in")
}

// announce writes an event when the listener became ready or ceased to be, and when its
// crypto policy ended.
func (s *scope) announce(is condition) {
	accepted := meta.FindStatusCondition(s.before.Status.Conditions, v1alpha1.ConditionAccepted)
	if s.accepted.Reason == v1alpha1.ReasonCryptoPolicyExpired && (accepted == nil || accepted.Reason != s.accepted.Reason) {
		s.Events.Eventf(s.listener, nil, corev1.EventTypeWarning, s.accepted.Reason, "Reconcile", "%s", s.accepted.Message)
	}
	was := meta.FindStatusCondition(s.before.Status.Conditions, v1alpha1.ConditionReady)
	if is.Reason == v1alpha1.ReasonPending || (was != nil && was.Status == is.Status && was.Reason == is.Reason) {
		return
	}
	wasReady := was != nil && was.Status == metav1.ConditionTrue
	kind := corev1.EventTypeWarning
	switch is.Reason {
	case v1alpha1.ReasonReady, v1alpha1.ReasonScaledToZero:
		kind = corev1.EventTypeNormal // as the owner wants it
	case v1alpha1.ReasonPodsUnavailable, v1alpha1.ReasonNotProgrammed:
		if !wasReady {
			kind = corev1.EventTypeNormal // on its way
		}
	}
	s.Events.Eventf(s.listener, nil, kind, is.Reason, "Reconcile", "%s", is.Message)
}
