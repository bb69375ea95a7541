package listener

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// applyObjects applies all objects but the configuration. When one is refused, the pods that
// are there must still get theirs, so this does not end the reconcile.
func (s *scope) applyObjects(ctx context.Context) error {
	err := s.applyAccount(ctx)
	if err == nil {
		err = s.applyWorkload(ctx)
	}
	if err != nil && !errors.Is(err, errStop) {
		s.applyFailed = err
	}
	return nil
}

// applyAccount applies what the pods need before they are: the account without rights,
// the network policy and the claims. A claim is only ever added to.
func (s *scope) applyAccount(ctx context.Context) error {
	if err := s.apply(ctx, render.ServiceAccount(s.listener), true); err != nil {
		return err
	}
	if err := s.apply(ctx, render.NetworkPolicy(s.listener, s.OperatorNamespace), true); err != nil {
		return err
	}
	for _, v := range s.listener.Spec.Volumes {
		if v.ClaimTemplate == nil {
			continue
		}
		owned := s.listener.Spec.VolumeClaimRetention == v1alpha1.Delete
		if err := s.apply(ctx, render.Claim(s.listener, v), owned); err != nil {
			return err
		}
	}
	return nil
}

// applyWorkload applies the Service, the budget and the Deployment.
func (s *scope) applyWorkload(ctx context.Context) error {
	if err := s.applyService(ctx); err != nil {
		return err
	}
	budget := render.PodDisruptionBudget(s.listener)
	if s.replicas() > 1 {
		if err := s.apply(ctx, budget, true); err != nil {
			return err
		}
	} else if err := s.Applier.For(s.listener).Delete(ctx, budget); err != nil {
		return fmt.Errorf("delete PodDisruptionBudget: %w", err)
	}
	if !s.workload {
		return nil
	}
	s.workloadSeen = true
	return s.applyDeployment(ctx)
}

// applyService applies the Service. Its ports are a list keyed by the port's number: one that
// somebody has changed would stay beside ours, so the whole list is put back first.
func (s *scope) applyService(ctx context.Context) error {
	want := render.Service(s.listener)
	live := &corev1.Service{}
	err := s.Client.Get(ctx, client.ObjectKeyFromObject(want), live)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read Service: %w", err)
	}
	if err == nil && s.mine(live) && foreignPort(want, live) {
		before := live.DeepCopy()
		live.Spec.Ports = want.Spec.Ports
		if err := s.Client.Patch(ctx, live, client.MergeFrom(before), client.FieldOwner(apply.FieldOwner)); err != nil {
			return s.refused(err)
		}
	}
	return s.apply(ctx, want, true)
}

// foreignPort says whether a Service has a port that is not wanted.
func foreignPort(want, live *corev1.Service) bool {
	for _, p := range live.Spec.Ports {
		if p.Port != want.Spec.Ports[0].Port || p.Protocol != want.Spec.Ports[0].Protocol {
			return true
		}
	}
	return false
}

// apply applies an object, owned by the listener or not, and turns what a person must put
// right into a condition.
func (s *scope) apply(ctx context.Context, obj client.Object, owned bool) error {
	handle := s.Applier.For(s.listener)
	if owned {
		_, err := handle.Apply(ctx, obj)
		return s.refused(err)
	}
	_, err := handle.ApplyKept(ctx, obj)
	return s.refused(err)
}

// refused notes an error of an apply. A foreign object and a refusal of the API server, such
// as a quota, end the phase and are tried again after a while.
func (s *scope) refused(err error) error {
	var conflict *apply.ConflictError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &conflict):
		s.programmed = conditions.False(v1alpha1.ConditionProgrammed, v1alpha1.ReasonResourceConflict, conflict.Error())
		s.refusal = true
		s.retryIn(conflictRetry)
		return errStop
	case apply.NamespaceEnding(err):
		return err
	}
	if message, ok := apply.Refusal(err); ok {
		s.programmed = conditions.False(v1alpha1.ConditionProgrammed, v1alpha1.ReasonApplyFailed, message)
		s.refusal = true
		s.retryIn(apply.RetryRefused)
		return errStop
	}
	return err
}

// mine says whether an object is this listener's. One that a former listener of the same
// name left, such as a retained claim, is; one that somebody else made is not.
func (s *scope) mine(o client.Object) bool {
	if o.GetLabels()[v1alpha1.LabelListener] != s.listener.Name {
		return false
	}
	owner := metav1.GetControllerOf(o)
	return owner == nil || owner.UID == s.listener.UID
}

// readAddresses reads the Service for the addresses that the cluster assigned.
func (s *scope) readAddresses(ctx context.Context) error {
	svc := &corev1.Service{}
	name := types.NamespacedName{Namespace: s.listener.Namespace, Name: render.WorkloadName(s.listener)}
	err := s.Client.Get(ctx, name, svc)
	if apierrors.IsNotFound(err) {
		err = s.Live.Get(ctx, name, svc) // it was applied just now: a listener that is ready has an address
	}
	if apierrors.IsNotFound(err) {
		return nil // a condition says so, and its event will bring us back
	}
	if err != nil {
		return fmt.Errorf("read Service: %w", err)
	}
	s.service = svc
	s.listener.Status.Addresses = render.Addresses(s.listener, svc)
	return nil
}
