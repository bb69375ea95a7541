package listener

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/rollout"
)

const (
	// queueRetry is how often a listener looks whether it is its turn without being told.
	queueRetry = 30 * time.Second
	// sessionCountAge is how old the number of sessions in the status may become: they come
	// and go all the time, and each count is a write.
	sessionCountAge = 5 * time.Minute
)

// applyDeployment applies the Deployment, unless that would replace pods and has to wait.
// Then only the number of replicas follows the spec.
func (s *scope) applyDeployment(ctx context.Context) error {
	want := render.Deployment(s.listener, s.Image, s.exclusive)
	record, err := rollout.NewRecord(s.listener, want)
	if err != nil {
		return err
	}
	live := &appsv1.Deployment{}
	err = s.Client.Get(ctx, client.ObjectKeyFromObject(want), live)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read Deployment: %w", err)
	}
	if err != nil || !s.mine(live) {
		record.Cause = rollout.First
		s.rolledOut = conditions.False(v1alpha1.ConditionRolledOut, v1alpha1.ReasonRollingOut, "The pods are being started")
		return s.applyRecorded(ctx, want, record)
	}
	change := rollout.Compare(live, want, record)
	if change.Any() && change.Cause == rollout.Operator && rollout.Unavailable(live) {
		change.Cause = rollout.Idle
	}
	record.Cause, record.After = change.Cause, change.After
	if !change.Any() {
		s.rolledOut = judgeRolledOut(live)
		s.memory.warned = ""
		return s.applyRecorded(ctx, want, record)
	}
	reason, message, err := s.holdBack(ctx, live, change)
	if err != nil {
		return err
	}
	if reason != "" {
		s.hold(reason, message, change.Names)
		return s.scale(ctx, live)
	}
	s.rolledOut = conditions.False(v1alpha1.ConditionRolledOut, v1alpha1.ReasonRollingOut, rollingMessage(want, change.Names))
	s.warnOfRestart(live, change)
	if err := s.applyRecorded(ctx, want, record); err != nil {
		s.pace.release(s.name())
		return err
	}
	return nil
}

func (s *scope) applyRecorded(ctx context.Context, d *appsv1.Deployment, record rollout.Record) error {
	if err := record.Write(d); err != nil {
		return err
	}
	return s.apply(ctx, d, true)
}

// holdBack says why a change has to wait, "" if it has not.
func (s *scope) holdBack(ctx context.Context, live *appsv1.Deployment, change rollout.Change) (reason, message string, err error) {
	if s.listener.Spec.Infrastructure.Rollout == v1alpha1.RolloutPaused {
		return v1alpha1.ReasonRolloutPaused, "infrastructure.rollout is Paused; set it to Automatic to replace the pods", nil
	}
	if change.Cause != rollout.Operator {
		return "", "", nil // who changes the spec wants it now
	}
	now := s.Now()
	place := rollout.Place{Name: s.name(), Since: s.waitsSince().Time}
	ok, busy, err := s.pace.admit(ctx, s.Reconciler, place, live.Generation, now)
	if err != nil || ok {
		return "", "", err
	}
	s.retryIn(queueRetry)
	return v1alpha1.ReasonRolloutQueued, fmt.Sprintf("It begins by itself: at most %d listeners are rolled out at a time, and now %d are", s.MaxConcurrentRollouts, busy), nil
}

// waitsSince is since when a change has waited, now if none did.
func (s *scope) waitsSince() metav1.Time {
	if p := s.before.Status.PendingRestart; p != nil {
		return p.Since
	}
	return metav1.NewTime(s.Now().Truncate(time.Second))
}

// hold notes a change that waits. How many it disturbs is known later, see countPending.
func (s *scope) hold(reason, message string, changes []string) {
	s.pending = &v1alpha1.ListenerPendingRestart{
		Reason: v1alpha1.PendingRestartReason(reason), Changes: changes, Since: s.waitsSince(), Pods: new(int32(0)),
	}
	s.rolledOut = conditions.False(v1alpha1.ConditionRolledOut, reason,
		fmt.Sprintf("A change of %s waits. %s", strings.Join(changes, ", "), message))
}

// countPending completes what is known of a change that waits.
func (s *scope) countPending() {
	old := s.before.Status.PendingRestart
	if !s.workloadSeen && old != nil {
		// The phase that decides was not reached. Such a listener keeps its place, but nobody
		// waits for it.
		s.pending = old.DeepCopy()
		s.pending.Reason = v1alpha1.ReasonRolloutBlocked
		s.rolledOut = conditions.False(v1alpha1.ConditionRolledOut, v1alpha1.ReasonRolloutBlocked,
			fmt.Sprintf("A change of %s waits until the listener's other conditions are true", strings.Join(old.Changes, ", ")))
	}
	s.listener.Status.PendingRestart = s.pending
	if s.pending == nil || !s.workloadSeen {
		return
	}
	s.pending.Pods, s.pending.Sessions = new(int32(s.acks.Ready)), s.acks.Sessions
	now := s.Now()
	if old != nil && old.Sessions != nil && s.pending.Sessions != nil && now.Sub(s.memory.counted).Abs() < sessionCountAge {
		s.pending.Sessions = old.Sessions
		return
	}
	s.memory.counted = now
}

// scale sets the number of replicas alone.
func (s *scope) scale(ctx context.Context, live *appsv1.Deployment) error {
	want := s.replicas()
	if live.Spec.Replicas != nil && *live.Spec.Replicas == want {
		return nil
	}
	before := live.DeepCopy()
	live.Spec.Replicas = &want
	return s.refused(s.Client.Patch(ctx, live, client.MergeFrom(before), client.FieldOwner(apply.FieldOwner)))
}

// warnOfRestart tells, before it happens, that an endpoint will be away: where one node alone can
// mount a volume, the new pod cannot start before the old one has ended.
func (s *scope) warnOfRestart(live *appsv1.Deployment, change rollout.Change) {
	which := strings.Join(change.Names, ", ")
	if !s.exclusive || live.Status.Replicas == 0 || s.memory.warned == which {
		return
	}
	s.memory.warned = which // of what is tried again, once
	s.Events.Eventf(s.listener, nil, corev1.EventTypeWarning, v1alpha1.ReasonPodRestart, "Rollout",
		"A change of %s restarts the only pod: its transfers may go on for %d seconds, and nobody can log in until the new pod is ready. Claims that are ReadWriteMany avoid that",
		which, render.DrainTimeoutSeconds(s.listener))
}

func rollingMessage(d *appsv1.Deployment, changes []string) string {
	message := fmt.Sprintf("The pods are being replaced for a change of %s", strings.Join(changes, ", "))
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		message += "; the old one ends before the new one starts, because one node alone can mount a volume"
	}
	return message
}

func judgeRolledOut(d *appsv1.Deployment) condition {
	switch {
	case rollout.Stuck(d):
		return conditions.False(v1alpha1.ConditionRolledOut, v1alpha1.ReasonRollingOut,
			fmt.Sprintf("The new pods do not become ready; kubectl -n %s describe pods -l %s=%s says why",
				d.Namespace, v1alpha1.LabelListener, d.Labels[v1alpha1.LabelListener]))
	case rollout.Rolling(d):
		return conditions.False(v1alpha1.ConditionRolledOut, v1alpha1.ReasonRollingOut, "The pods are being replaced")
	}
	return conditions.True(v1alpha1.ConditionRolledOut, v1alpha1.ReasonRolledOut, "All pods are of the present template")
}
