// Package workload applies what makes up a listener's endpoint beside its configuration:
// account, network policy, claims, Service, disruption budget, Deployment and the lines for
// known_hosts. It decides no conditions: it returns what it found and did.
package workload

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Workload applies the objects of listeners.
type Workload struct {
	// Client writes, and reads from the caches.
	Client  client.Client
	Applier *apply.Applier
	// Admission lets rollouts begin one after another.
	Admission *Admission
	// Now is the clock.
	Now func() time.Time
}

// Input is what the objects are made from.
type Input struct {
	// Listener is not changed. Its status has the addresses and the pending restart as they
	// were found last.
	Listener *v1alpha1.SFTPListener
	// Image is the daemon's; OperatorNamespace is where the operator runs: its pods may reach
	// the status port.
	Image, OperatorNamespace string
	Volumes                  volumes.Result
	// HostKeys are those whose lines clients need; without one there is no ConfigMap.
	HostKeys []v1alpha1.HostKeyStatus
}

// Refusal is an object that could not be applied.
type Refusal struct {
	// Object is its kind and name, for example `Service "partners-sftp"`.
	Object string
	// Reason is one of a condition: ReasonResourceConflict or ReasonApplyFailed.
	Reason, Message string
	// Temporary reports whether it is an error that goes away without a person, such as an API
	// server that does not answer.
	Temporary bool
}

// SmallerClaim is a claim that is larger than the spec asks for. A claim cannot be made
// smaller, so that it stays as it is.
type SmallerClaim struct {
	Volume, Claim string
	// Wanted is the size in the spec, Actual that of the claim.
	Wanted, Actual string
}

// Result is what was found and done.
type Result struct {
	// Refusals are in the order in which the objects were tried. Each independent object is
	// applied although another was refused.
	Refusals []Refusal
	// Service and Deployment are as they are, nil if there is none or it could not be read.
	// They must not be changed.
	Service    *corev1.Service
	Deployment *appsv1.Deployment
	// Addresses are where clients connect, those of the status before if the Service is
	// unknown; KnownHosts are the lines for them.
	Addresses  []v1alpha1.ListenerAddress
	KnownHosts []string
	// Rollout is how far the pods are.
	Rollout Rollout
	// Drift are paths of fields that are not as the operator applied them, see package drift.
	Drift []string
	// SmallerClaims are those that the spec wants smaller than they are.
	SmallerClaims []SmallerClaim
	// NamespaceEnding reports whether the namespace is being deleted: nothing can be made in it
	// any more.
	NamespaceEnding bool
	// Err joins the temporary errors: the reconcile is to be tried again with backoff.
	Err error
	// Retry is when to look again although nothing happens, 0 for never.
	Retry time.Duration
}

// queueRetry is how often a listener looks whether it is its turn without being told.
const queueRetry = 30 * time.Second

// knownHostsInterval is the time between two looks at a ConfigMap that should not have
// changed. The operator has no right to watch ConfigMaps, which are usually not its own.
const knownHostsInterval = 10 * time.Minute

// run is one Apply.
type run struct {
	*Workload
	in     Input
	handle apply.Handle
	out    Result
	// missing are claims that pods need and that could not be made.
	missing map[string]bool
}

// Apply applies all objects. What is refused keeps only that from being applied which needs it.
func (w *Workload) Apply(ctx context.Context, in Input) Result {
	r := &run{Workload: w, in: in, handle: w.Applier.For(in.Listener), missing: map[string]bool{}}
	l := in.Listener
	r.out.Addresses = l.Status.Addresses
	name := render.WorkloadName(l)
	r.step(ctx, "ServiceAccount", name, func(ctx context.Context) error {
		_, err := r.handle.Apply(ctx, render.ServiceAccount(l))
		return err
	})
	r.step(ctx, "NetworkPolicy", name, r.applyNetworkPolicy)
	for _, v := range l.Spec.Volumes {
		if v.ClaimTemplate != nil {
			r.applyClaim(ctx, v)
		}
	}
	r.step(ctx, "Service", name, r.applyService)
	r.step(ctx, "Service", name, r.readAddresses)
	r.step(ctx, "PodDisruptionBudget", name, r.applyBudget)
	r.step(ctx, "Deployment", name, r.applyDeployment)
	r.step(ctx, "ConfigMap", render.KnownHostsName(l), r.publishKnownHosts)
	return r.out
}

// Replicas returns the number of pods that there are, for the scale subresource: not only of
// those that are ready. An autoscaler that reads a smaller number scales the wrong way.
func (r Result) Replicas() *int32 {
	if r.Deployment == nil {
		return nil
	}
	return &r.Deployment.Status.Replicas
}
