// Package workload applies the objects of a listener's endpoint besides its configuration:
// account, network policy, claims, Service, disruption budget, Deployment and the lines for
// known_hosts. It does not set conditions: it returns what it found and did.
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
	// Listener is not changed. Its status has the addresses and the pending restart as last
	// found.
	Listener *v1alpha1.SFTPListener
	// Written is the listener as its owner wrote it, without defaults of the platform; Listener if nil.
	Written *v1alpha1.SFTPListener
	// Refusal is why the platform does not allow the spec, "" if it does. If it is refused, the objects stay as they are, because
	// they serve users; only the relay may send no more than is allowed.
	Refusal string
	// Image is the daemon's; OperatorNamespace is where the operator runs: its pods may reach
	// the status port.
	Image, OperatorNamespace string
	Volumes                  volumes.Result
	// Relay delivers the listener's events.
	Relay Relay
	// HostKeys are the keys whose lines clients need. Without one there is no ConfigMap.
	HostKeys []v1alpha1.HostKeyStatus
	// AllowedSigners are lines with the keys of receipts, for the same ConfigMap.
	AllowedSigners []string
}

// Refusal is an object that could not be applied.
type Refusal struct {
	// Object is its kind and name, for example `Service "partners-sftp"`.
	Object string
	// Reason is a condition's reason: ReasonResourceConflict or ReasonApplyFailed.
	Reason, Message string
	// Temporary is set if the error goes away without a person's action, such as an API server
	// that does not answer.
	Temporary bool
}

// SmallerClaim is a claim that is larger than the spec asks for. A claim cannot be made
// smaller, so it stays unchanged.
type SmallerClaim struct {
	Volume, Claim string
	// Wanted is the size in the spec, Actual that of the claim.
	Wanted, Actual string
}

// Result is what was found and done.
type Result struct {
	// Refusals are in the order in which the objects were tried. Each independent object is
	// applied even if another was refused.
	Refusals []Refusal
	// Service and Deployment are the current objects, nil if missing or unreadable. They
	// must not be changed.
	Service    *corev1.Service
	Deployment *appsv1.Deployment
	// RelayAddress is where the relay answers, "" if there is none or it is not known.
	RelayAddress string
	// Addresses are where clients connect, those of the previous status if the Service is
	// unknown; KnownHosts are the lines for them.
	Addresses  []v1alpha1.ListenerAddress
	KnownHosts []string
	// NodePort is the Service's port on the nodes, 0 for none, or that of the previous status if the Service is unknown.
	NodePort int32
	// Rollout is the state of the pods.
	Rollout Rollout
	// Drift has paths of fields that differ from what the operator applied, see package drift.
	Drift []string
	// SmallerClaims are those that the spec wants smaller than they are.
	SmallerClaims []SmallerClaim
	// NamespaceEnding is set if the namespace is being deleted: nothing can be created in it
	// anymore.
	NamespaceEnding bool
	// Err joins the temporary errors: the reconcile is retried with backoff.
	Err error
	// Retry is when to reconcile again even if nothing happens, 0 for never.
	Retry time.Duration
}

// queueRetry is how often a listener checks whether it is its turn without being woken.
const queueRetry = 30 * time.Second

// knownHostsInterval is the time between checks of a ConfigMap that should not have
// changed. The operator has no permission to watch ConfigMaps, which are usually not its
// own.
const knownHostsInterval = 10 * time.Minute

// run is one Apply.
type run struct {
	*Workload
	in     Input
	handle apply.Handle
	out    Result
	// missing are claims that pods need and that could not be created.
	missing map[string]bool
}

// Apply applies all objects. A refused object only blocks those that need it.
func (w *Workload) Apply(ctx context.Context, in Input) Result {
	if in.Written == nil {
		in.Written = in.Listener
	}
	r := &run{Workload: w, in: in, handle: w.Applier.For(in.Listener), missing: map[string]bool{}}
	l := in.Listener
	r.out.Addresses, r.out.NodePort = l.Status.Addresses, l.Status.NodePort
	name := render.WorkloadName(l)
	if in.Refusal == "" {
		r.applyNeighbors(ctx, name)
	}
	r.step(ctx, "Service", name, r.readAddresses)
	r.step(ctx, "Deployment", name, r.applyDeployment)
	if in.Refusal == "" {
		r.applyRelay(ctx)
	} else {
		r.restrictRelay(ctx)
	}
	r.step(ctx, "ConfigMap", render.KnownHostsName(l), r.publishKnownHosts)
	return r.out
}

// applyNeighbors applies the objects around the pods.
func (r *run) applyNeighbors(ctx context.Context, name string) {
	l := r.in.Listener
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
	r.step(ctx, "PodDisruptionBudget", name, r.applyBudget)
}

// Replicas returns the number of existing pods, for the scale subresource, not only of ready
// ones. An autoscaler that reads a smaller number scales the wrong way.
func (r Result) Replicas() *int32 {
	if r.Deployment == nil {
		return nil
	}
	return &r.Deployment.Status.Replicas
}
