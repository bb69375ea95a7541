package workload

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/rollout"
)

// applyDeployment applies the Deployment, unless that would replace pods and has to wait.
// Then only the number of replicas follows the spec.
func (r *run) applyDeployment(ctx context.Context) error {
	want := render.Deployment(r.in.Listener, r.in.Image, r.in.Volumes.Exclusive)
	record, err := rollout.NewRecord(r.in.Written, want)
	if err != nil {
		return err
	}
	live := &appsv1.Deployment{}
	err = r.Client.Get(ctx, client.ObjectKeyFromObject(want), live)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read it: %w", err)
	}
	if err != nil {
		if why := r.held(); why != "" {
			r.out.Rollout = Rollout{State: Held, Why: why}
			return nil
		}
		record.Cause = rollout.First
		r.out.Rollout = Rollout{State: Starting}
		return r.applyRecorded(ctx, want, record)
	}
	if err := r.handle.Check(ctx, live); err != nil {
		return err
	}
	r.out.Deployment = live
	change := rollout.Compare(live, want, record)
	if change.Any() && change.Cause == rollout.Operator && rollout.Unavailable(live) {
		change.Cause = rollout.Idle
	}
	record.Cause, record.After, record.Changes = change.Cause, change.After, change.Recorded
	if why := r.held(); why != "" {
		r.hold(v1alpha1.ReasonRolloutBlocked, change.Names)
		r.out.Rollout.Why = why
		return r.keep(ctx, live, want, change, min(volumes.Replicas(r.in.Listener), replicasOf(live)))
	}
	if !change.Any() {
		if err := r.applyRecorded(ctx, want, record); err != nil {
			return err
		}
		r.out.Rollout = judge(r.out.Deployment)
		return nil
	}
	reason, err := r.mustWait(ctx, live, change)
	if err != nil {
		return err
	}
	if reason != "" {
		r.hold(reason, change.Names)
		return r.keep(ctx, live, want, change, volumes.Replicas(r.in.Listener))
	}
	return r.replacePods(ctx, live, want, record, change)
}

// replacePods applies a change that replaces pods.
func (r *run) replacePods(ctx context.Context, live, want *appsv1.Deployment, record rollout.Record, change rollout.Change) error {
	if err := r.applyRecorded(ctx, want, record); err != nil {
		r.Admission.release(client.ObjectKeyFromObject(r.in.Listener))
		r.out.Rollout = judge(live)
		return err
	}
	recreate := want.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType
	r.out.Rollout = Rollout{
		State: Rolling, Changes: change.Names, Recreate: recreate,
		RestartsOnlyPod: recreate && live.Status.Replicas > 0,
	}
	return nil
}

func (r *run) applyRecorded(ctx context.Context, want *appsv1.Deployment, record rollout.Record) error {
	if err := record.Write(want); err != nil {
		return err
	}
	done, err := r.handle.Apply(ctx, want)
	if err != nil {
		return err
	}
	if d, ok := done.Live.(*appsv1.Deployment); ok {
		r.out.Deployment = d
		r.compare(d, want)
	}
	return nil
}

// mustWait returns why a change has to wait, "" if it does not.
func (r *run) mustWait(ctx context.Context, live *appsv1.Deployment, change rollout.Change) (v1alpha1.PendingRestartReason, error) {
	if r.in.Listener.Spec.Infrastructure.Rollout == v1alpha1.RolloutPaused {
		return v1alpha1.ReasonRolloutPaused, nil
	}
	if change.Cause != rollout.Operator {
		return "", nil // a change to the spec is wanted now
	}
	place := rollout.Place{Name: client.ObjectKeyFromObject(r.in.Listener), Since: r.waitsSince()}
	ok, busy, err := r.Admission.admit(ctx, place, live.Generation, r.in.Image, r.Now())
	if err != nil || ok {
		return "", err
	}
	r.out.Rollout.Busy = busy
	r.retryIn(queueRetry)
	return v1alpha1.ReasonRolloutQueued, nil
}

// waitsSince returns the time since which a change has waited, now if none has.
func (r *run) waitsSince() time.Time {
	if p := r.in.Listener.Status.PendingRestart; p != nil {
		return p.Since.Time
	}
	return r.Now().Truncate(time.Second)
}

// hold records a waiting change.
func (r *run) hold(reason v1alpha1.PendingRestartReason, changes []string) {
	r.out.Rollout.State = Held
	if len(changes) > 0 {
		r.out.Rollout.Pending = &Pending{Reason: reason, Changes: changes, Since: r.waitsSince()}
	}
}

// keep leaves a Deployment unchanged except for the number of replicas.
func (r *run) keep(ctx context.Context, live, want *appsv1.Deployment, change rollout.Change, replicas int32) error {
	is := judge(live)
	r.out.Rollout.PodsRefused = is.PodsRefused
	if r.out.Rollout.Pending == nil {
		// Nothing waits: the pods are what they should be, or will be.
		r.out.Rollout.State, r.out.Rollout.Changes, r.out.Rollout.Recreate = is.State, is.Changes, is.Recreate
	}
	if expected, ok := rollout.Held(live, want, change); ok {
		r.compare(live, expected)
	}
	if replicasOf(live) == replicas {
		return nil
	}
	after := live.DeepCopy()
	after.Spec.Replicas = &replicas
	if err := r.Client.Patch(ctx, after, client.MergeFrom(live), client.FieldOwner(apply.FieldOwner)); err != nil {
		return fmt.Errorf("set its replicas: %w", err)
	}
	r.out.Deployment = after
	return nil
}

func replicasOf(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// judge returns the state of a Deployment's pods.
func judge(d *appsv1.Deployment) Rollout {
	out := Rollout{State: Complete}
	switch {
	case rollout.Stuck(d):
		out.State = Stuck
	case rollout.Rolling(d):
		out.State = Rolling
		record, _ := rollout.Read(d)
		if record.Cause == rollout.First {
			out.State = Starting
		}
		out.Changes, out.Recreate = record.Changes, d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			out.PodsRefused = c.Message
		}
	}
	return out
}
