package status

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// resolvedRefs returns the condition on what the spec refers to: the first problem counts, in the order in which the steps
// depend on each other.
func (in Input) resolvedRefs() (metav1.Condition, bool) {
	type problem = conditions.Problem
	var problems []problem
	var unreadable []string
	if in.Access != nil {
		problems = append(problems, in.Access.Problems...)
		unreadable = append(unreadable, in.Access.Unreadable...)
	}
	if in.HostKeysErr != nil {
		unreadable = append(unreadable, fmt.Sprintf("The host keys cannot be read: %v", in.HostKeysErr))
	}
	if in.HostKeys != nil {
		for _, p := range []*problem{in.HostKeys.Problem, in.HostKeys.CertificateProblem} {
			if p != nil {
				problems = append(problems, *p)
			}
		}
	}
	if in.Volumes.Err != nil {
		unreadable = append(unreadable, fmt.Sprintf("The volumes' claims cannot be read: %v", in.Volumes.Err))
	}
	for _, p := range in.Volumes.Problems {
		if p.Reason != v1alpha1.ReasonVolumeNotShareable { // the condition Accepted has it
			problems = append(problems, problem{Reason: p.Reason, Message: p.Message})
		}
	}
	switch {
	case len(problems) > 0 && problems[0].Reason == v1alpha1.ReasonPending:
		return conditions.Unknown(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonPending, problems[0].Message), true
	case len(problems) > 0:
		return conditions.False(v1alpha1.ConditionResolvedRefs, problems[0].Reason, joined(problems)), true
	case len(unreadable) > 0:
		return conditions.Unknown(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonSecretUnreadable,
			strings.Join(unreadable, "; ")+". What was read before stays in effect; the operator retries"), true
	case in.HostKeys == nil || in.Access == nil:
		return metav1.Condition{}, false
	}
	return conditions.True(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, "Host keys and claims are usable"), true
}

// joined returns the messages of problems, with the first one's reason as the condition's: the owner sees everything to
// correct at once.
func joined(problems []conditions.Problem) string {
	out := make([]string, 0, len(problems))
	for _, p := range problems {
		out = append(out, p.Message)
	}
	return strings.Join(out, "; ")
}

// programmed returns the condition on what the pods have.
func (in Input) programmed() (metav1.Condition, bool) {
	no := func(reason, message string) (metav1.Condition, bool) {
		return conditions.False(v1alpha1.ConditionProgrammed, reason, message), true
	}
	if in.Access == nil {
		return metav1.Condition{}, false
	}
	d := in.Access.Delivered
	switch {
	case len(d.Refusals) > 0:
		return no(d.Refusals[0].Reason, d.Refusals[0].Message)
	case d.Err != nil:
		return no(v1alpha1.ReasonApplyPending, fmt.Sprintf("The configuration cannot be written: %v. The operator retries", d.Err))
	case in.Access.Err != nil:
		return no(v1alpha1.ReasonInternalError, fmt.Sprintf("The configuration cannot be compiled: %v. The operator retries", in.Access.Err))
	case in.Access.Blocked != nil && d.Version == nil:
		return no(v1alpha1.ReasonConfigPending, in.Access.Blocked.Message)
	case in.Acks == nil:
		return metav1.Condition{}, false
	}
	c := in.pods()
	if in.Settling && c.Status != metav1.ConditionTrue {
		return in.keep(c), true
	}
	return c, true
}

// pods returns the condition Programmed, given the pods and the Service.
func (in Input) pods() metav1.Condition {
	no := func(reason, message string) metav1.Condition {
		return conditions.False(v1alpha1.ConditionProgrammed, reason, message)
	}
	a := in.Acks
	switch {
	case a.Refused != "":
		return no(v1alpha1.ReasonConfigRejected, "A pod rejected the configuration and keeps the previous one: "+a.Refused)
	case a.Unproven != "":
		return conditions.Unknown(v1alpha1.ConditionProgrammed, v1alpha1.ReasonPodUnreachable,
			"Whatever answers for a pod does not prove that it has the listener's configuration: "+a.Unproven)
	case a.Unreachable != "":
		return conditions.Unknown(v1alpha1.ConditionProgrammed, v1alpha1.ReasonPodUnreachable,
			fmt.Sprintf("The operator cannot reach port %d of the pods; check NetworkPolicies: %s", render.HealthPort, a.Unreachable))
	case a.Ready == 0:
		return no(v1alpha1.ReasonConfigPending, "No pod is ready to load the configuration")
	case !a.Done():
		return no(v1alpha1.ReasonConfigPending, fmt.Sprintf("%d of %d ready pods have loaded the configuration%s", a.Acknowledged, a.Ready, in.latePod()))
	case in.Workload.Service == nil && in.Workload.Err != nil:
		return in.keep(no(v1alpha1.ReasonAddressNotAssigned, "The Service cannot be read"))
	case in.Workload.Service == nil:
		return no(v1alpha1.ReasonAddressNotAssigned, "The Service does not exist yet")
	case in.Workload.Service.Spec.Type == corev1.ServiceTypeLoadBalancer && len(in.Workload.Service.Status.LoadBalancer.Ingress) == 0:
		return no(v1alpha1.ReasonAddressNotAssigned, "The load balancer has not assigned an address yet")
	}
	return conditions.True(v1alpha1.ConditionProgrammed, v1alpha1.ReasonProgrammed,
		fmt.Sprintf("All %d ready pods have loaded the configuration", a.Ready))
}

// LateAfter is how long a pod may take before the status names it.
const LateAfter = 15 * time.Second

// latePod names the first pod that does not acknowledge, once that is out of the ordinary.
func (in Input) latePod() string {
	for _, name := range in.Acks.Behind {
		if since := in.Acks.Late[name]; !since.IsZero() && in.Now.Sub(since) >= LateAfter {
			return fmt.Sprintf("; pod %s has not since %s. Its kubelet may not be refreshing its volumes: kubectl -n %s describe pod %s, or delete it",
				name, since.UTC().Format(time.RFC3339), in.Listener.Namespace, name)
		}
	}
	return ""
}

// objectsApplied returns the condition on the objects around the pods. It does not affect Ready.
func (in Input) objectsApplied() (metav1.Condition, bool) {
	no := func(reason, message string) (metav1.Condition, bool) {
		return conditions.False(v1alpha1.ConditionObjectsApplied, reason, message), true
	}
	if in.HostKeys != nil && in.HostKeys.Refusal != nil {
		if p, ok := apply.Problem(in.HostKeys.Refusal); ok {
			return no(p.Reason, p.Message)
		}
		return no(v1alpha1.ReasonApplyFailed, in.HostKeys.Refusal.Error())
	}
	w := in.Workload
	if len(w.Refusals) > 0 {
		messages := make([]string, 0, len(w.Refusals))
		for _, r := range w.Refusals {
			messages = append(messages, r.Message)
		}
		return no(w.Refusals[0].Reason, strings.Join(messages, "; "))
	}
	if w.Err != nil {
		return no(v1alpha1.ReasonApplyPending, fmt.Sprintf("Objects of the listener cannot be applied: %v. The operator retries", w.Err))
	}
	if len(w.Drift) > 0 {
		return no(v1alpha1.ReasonDrifted, "Fields differ from what the operator applied: "+strings.Join(w.Drift, ", ")+
			". Remove them, or delete the object to have it created again")
	}
	message := "All objects match the listener's spec"
	var messageSb169 strings.Builder
	for _, c := range w.SmallerClaims {
		messageSb169.WriteString(fmt.Sprintf("; claim %q has %s, more than the %s of volume %q, and cannot be made smaller", c.Claim, c.Actual, c.Wanted, c.Volume))
	}
	message += messageSb169.String()
	return conditions.True(v1alpha1.ConditionObjectsApplied, v1alpha1.ReasonObjectsApplied, message), true
}
