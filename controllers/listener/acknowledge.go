package listener

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/pods"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

const (
	// ackWait is how long a reconcile waits for the pods, a little longer than the Poller takes
	// to say that some are late. Usually they need 200 to 400 ms.
	ackWait = 2500 * time.Millisecond
	// lateWait is that time while pods are known to be late: changes that come meanwhile must
	// not wait long for a pod that does not answer.
	lateWait = 300 * time.Millisecond
	// maxAckRetry bounds the time between two of those.
	maxAckRetry = 15 * time.Second
	// lateAfter is how long a pod may take before the status names it.
	lateAfter = 15 * time.Second
	// conflictRetry is the time between two looks at an object that is in the way.
	conflictRetry = 30 * time.Second
)

// tellPods has the pods look at a configuration that this reconcile has written. That does
// not wait for the other objects, which an operator that just started reads one by one.
func (s *scope) tellPods(ctx context.Context) error {
	if s.configured {
		owned, err := s.pods(ctx)
		if err == nil {
			err = ack.RequestSync(ctx, s.Client, owned, s.files.Digest)
		}
		if err != nil {
			// The other phases are not to suffer from it, and the Poller tries again.
			ctrl.LoggerFrom(ctx).Error(err, "Cannot tell the pods of their configuration yet")
		}
	}
	return nil
}

// awaitAcknowledgement waits until every ready pod has loaded the configuration.
func (s *scope) awaitAcknowledgement(ctx context.Context) error {
	limit := ackWait
	if s.memory.tries > 0 {
		limit = lateWait
	}
	known := s.listener.Status.ConfigDigest == s.files.Digest
	began := s.Now()
	s.setTarget()
	for end := time.Now().Add(limit); ; {
		var found bool
		if s.acks, found = s.Poller.Result(s.name()); found && s.acks.Acknowledged == s.acks.Ready || time.Now().After(end) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := s.noteUnmounted(ctx); err != nil {
		return err
	}
	s.noteLate()
	s.acked = s.acks.Done()
	s.memory.delivery.note(began, s.files.Digest, 1, false, known)
	s.memory.delivery.note(s.Now(), s.files.Digest, s.acks.Ready, s.acked, known)
	if s.acked {
		s.memory.tries = 0
		s.listener.Status.ConfigDigest = s.files.Digest
	}
	s.noteHostKeysAcknowledged()
	if !s.refusal {
		s.programmed = s.judgeProgrammed()
	}
	if s.acks.Acknowledged < s.acks.Ready {
		s.retryIn(s.memory.tryAgainIn(s.acks.Ready))
	} else {
		s.memory.ready = s.acks.Ready
	}
	return nil
}

// noteLate remembers since when pods have not acknowledged.
func (s *scope) noteLate() {
	now := s.Now().Truncate(time.Second)
	late := make(map[string]time.Time, len(s.acks.Behind))
	for _, name := range s.acks.Behind {
		since, known := s.memory.late[name]
		if !known || since.After(now) { // the clock was set back
			since = now
		}
		late[name] = since
	}
	s.memory.late = late
}

// latePod names the first pod that does not acknowledge, once that is out of the ordinary.
func (s *scope) latePod() string {
	for _, name := range s.acks.Behind {
		if since := s.memory.late[name]; s.Now().Sub(since) >= lateAfter {
			return fmt.Sprintf("; pod %s has not since %s. Its kubelet may not refresh its volumes: kubectl -n %s describe pod %s, or delete it",
				name, since.UTC().Format(time.RFC3339), s.listener.Namespace, name)
		}
	}
	return ""
}

// tryAgainIn notes that not all ready pods have acknowledged, and returns when to try again: less
// and less often, but soon when pods have come or gone. What kept them from loading the
// configuration may be over then, and the annotation of that moment can be swallowed.
func (m *memory) tryAgainIn(ready int) time.Duration {
	if ready != m.ready {
		m.ready, m.tries = ready, 0
	}
	m.tries++
	return min(time.Second<<min(m.tries-1, 4), maxAckRetry)
}

func (s *scope) pods(ctx context.Context) ([]*corev1.Pod, error) {
	return pods.Owned(ctx, s.Client, s.listener)
}

func (s *scope) judgeProgrammed() condition {
	no := func(reason, message string) condition {
		return conditions.False(v1alpha1.ConditionProgrammed, reason, message)
	}
	a := s.acks
	switch {
	case a.Refused != "":
		return no(v1alpha1.ReasonConfigRejected, "The configuration was refused and the one before stays: "+a.Refused)
	case a.Unproven != "":
		return conditions.Unknown(v1alpha1.ConditionProgrammed, v1alpha1.ReasonPodUnreachable,
			fmt.Sprintf("%s; delete the pod, and find out what answers at its address", strings.ToUpper(a.Unproven[:1])+a.Unproven[1:]))
	case a.Unreachable != "":
		return conditions.Unknown(v1alpha1.ConditionProgrammed, v1alpha1.ReasonPodUnreachable,
			fmt.Sprintf("The operator must reach port %d of the pods and does not; check NetworkPolicies: %s", render.HealthPort, a.Unreachable))
	case a.Ready == 0:
		return no(v1alpha1.ReasonConfigPending, "No pod is ready to load the configuration")
	case !s.acked:
		return no(v1alpha1.ReasonConfigPending, fmt.Sprintf("%d of %d ready pods have loaded the configuration%s", a.Acknowledged, a.Ready, s.latePod()))
	case s.service == nil:
		return no(v1alpha1.ReasonAddressNotAssigned, "The Service is not there yet")
	case s.service.Spec.Type == corev1.ServiceTypeLoadBalancer && len(s.service.Status.LoadBalancer.Ingress) == 0:
		return no(v1alpha1.ReasonAddressNotAssigned, "The load balancer has not assigned an address yet")
	}
	return conditions.True(v1alpha1.ConditionProgrammed, v1alpha1.ReasonProgrammed,
		fmt.Sprintf("All %d ready pods have loaded the configuration", a.Ready))
}
