// Package status turns what the steps of a reconcile found into the status of a listener, its events, and the time of the
// next reconcile. It is pure. A step that was not reached is nil in the Input, and changes no condition.
package status

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/listener/outcome"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Input is what one reconcile found. A step that ended with an error has no result; Volumes and Workload have their errors in
// them.
type Input struct {
	// Listener as read, with its previous status.
	Listener *v1alpha1.SFTPListener
	// Platform is the platform team's policy for it.
	Platform platform.Decision
	Policy   render.Policy
	Now      time.Time

	HostKeys *hostkeys.Result
	Access   *exchange.Access
	Volumes  volumes.Result
	Workload workload.Result
	// Acks is what the pods report about the configuration in Access.
	Acks  *ack.Result
	Users *outcome.Result
	// ReceiptKeys sign receipts, or have signed some.
	ReceiptKeys []v1alpha1.ReceiptKeyStatus
	// Relay is what is known of the delivery of events.
	Relay Relay
	// Homes is the listener with the recorded home volume, nil if that is unknown.
	Homes *v1alpha1.SFTPListener
	// Settling keeps what is about to change: the pods have had no time yet to load the configuration.
	Settling bool

	// MaxRollouts is how many listeners an upgrade of the operator rolls out at a time.
	MaxRollouts int
	// Recount is set to update the number of sessions that a rollout would disturb.
	Recount bool

	// The errors that ended a step, of the API server or of the operator itself.
	HostKeysErr, UsersErr error
}

// Build returns the status of a listener.
func Build(in Input) v1alpha1.SFTPListenerStatus {
	st := *in.Listener.Status.DeepCopy()
	in.describe(&st)
	list := []metav1.Condition{in.accepted()}
	if c, ok := in.resolvedRefs(); ok {
		list = append(list, c)
	}
	if c, ok := in.objectsApplied(); ok {
		list = append(list, c)
	}
	if c, ok := in.rolledOut(); ok {
		list = append(list, c)
	}
	if c, ok := in.volumesWritable(); ok {
		list = append(list, c)
	}
	conditions.Set(&st.Conditions, in.Listener.Generation, list...)
	in.delivers(&st)
	in.receipts(&st)
	if c, known := in.retentionHalted(); c != nil {
		conditions.Set(&st.Conditions, in.Listener.Generation, *c)
	} else if known {
		meta.RemoveStatusCondition(&st.Conditions, v1alpha1.ConditionRetentionHalted)
	}
	if c, ok := in.programmed(); ok {
		generation := in.Listener.Generation
		if c.Status == metav1.ConditionTrue {
			generation = in.programmedGeneration()
		}
		conditions.Set(&st.Conditions, generation, c)
	}
	generation, ready := in.Listener.Generation, in.ready(st.Conditions)
	if c := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionProgrammed); c != nil && ready.Status == metav1.ConditionTrue {
		generation = c.ObservedGeneration
	}
	conditions.Set(&st.Conditions, generation, ready)
	conditions.Conclude(&st.Conditions, conditions.Conclusion{Generation: generation, Now: in.Now, Slack: Slack(in.Listener)})
	st.ObservedGeneration = generation
	return st
}

// Slack returns how much longer than others a listener may take to have pods again: if only one node can mount a volume, the
// new pod waits for one that drains.
func Slack(l *v1alpha1.SFTPListener) time.Duration {
	return time.Duration(render.DrainTimeoutSeconds(l)) * time.Second
}

// programmedGeneration returns the generation of the listener that all ready pods have loaded: the spec's once the result of
// compiling it is acknowledged, and until then the previous one. Clients that wait for Ready of a generation rely on it.
func (in Input) programmedGeneration() int64 {
	if in.Access.Generation >= in.Listener.Generation && in.acknowledged() {
		return in.Listener.Generation
	}
	if c := in.previous(v1alpha1.ConditionProgrammed); c != nil {
		return c.ObservedGeneration
	}
	return min(in.Access.Generation, in.Listener.Generation)
}

// Paused returns the status of a listener that is not to be changed.
func Paused(l *v1alpha1.SFTPListener, now time.Time) v1alpha1.SFTPListenerStatus {
	st := *l.Status.DeepCopy()
	accepted := conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonPaused,
		fmt.Sprintf("Nothing is changed, and no access is removed, while the annotation %s is \"true\"; remove it to continue", v1alpha1.AnnotationPaused))
	conditions.Set(&st.Conditions, l.Generation, slices.Clone(st.Conditions)...) // unchanged except for the generation
	conditions.Set(&st.Conditions, l.Generation, accepted,
		conditions.False(v1alpha1.ConditionReady, accepted.Reason, accepted.Message))
	conditions.Conclude(&st.Conditions, conditions.Conclusion{Generation: l.Generation, Now: now})
	st.ObservedGeneration = l.Generation
	return st
}

// describe fills in everything except the conditions.
func (in Input) describe(st *v1alpha1.SFTPListenerStatus) {
	if in.HostKeys != nil && in.HostKeys.Keys != nil {
		st.HostKeys = in.HostKeys.Status
	}
	if in.Users != nil {
		st.AttachedUsers, st.Users = new(int32(in.Users.Attached)), users(in.Users)
		for i := range st.HostKeys {
			st.HostKeys[i].ProvedUsers = new(in.Users.Proved[st.HostKeys[i].Fingerprint])
		}
	}
	if len(in.ReceiptKeys) > 0 {
		st.Receipts = &v1alpha1.ListenerReceiptsStatus{Keys: in.ReceiptKeys}
	}
	if in.Homes != nil {
		st.HomeVolume = attach.HomeOf(in.Homes)
	}
	st.Addresses, st.NodePort = in.Workload.Addresses, in.Workload.NodePort
	if n := in.Workload.Replicas(); n != nil {
		st.Replicas = new(*n)
	}
	st.PendingRestart = in.pendingRestart()
	st.KnownHosts, st.SSHFP = render.KnownHosts(st.Addresses, st.HostKeys), render.SSHFP(st.HostKeys)
	st.CryptoPolicy, st.CryptoPolicyExpirationTime = in.Policy.Name, in.Policy.Expires
	st.Effective = render.Effective(cmp.Or(in.Platform.Listener, in.Listener))
	st.PlatformDefaults = in.platformDefaults()
	if runs := in.retention(); runs != nil || in.Acks != nil && in.Acks.Ready > 0 {
		st.Retention = runs
	}
	st.Selector = in.selector()
	if in.acknowledged() {
		st.ConfigDigest = in.Access.Delivered.Version.Digest
	}
}

// acknowledged reports whether every ready pod, and at least one, has loaded what was delivered.
func (in Input) acknowledged() bool {
	return in.delivered() && in.Acks != nil && in.Acks.Digest == in.Access.Delivered.Version.Digest && in.Acks.Done()
}

func (in Input) previous(conditionType string) *metav1.Condition {
	return meta.FindStatusCondition(in.Listener.Status.Conditions, conditionType)
}

// keep returns the previous condition of a type, or the given one if there is none.
func (in Input) keep(otherwise metav1.Condition) metav1.Condition {
	if c := in.previous(otherwise.Type); c != nil && c.Reason != v1alpha1.ReasonPending {
		return *c
	}
	return otherwise
}

// accepted returns the condition on the spec itself.
func (in Input) accepted() metav1.Condition {
	if refusal := in.Platform.Refusal(); refusal != "" {
		return conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonPlatformPolicy, refusal)
	}
	for _, p := range in.Volumes.Problems {
		if p.Reason == v1alpha1.ReasonVolumeNotShareable {
			return conditions.False(v1alpha1.ConditionAccepted, p.Reason, p.Message)
		}
	}
	if c := in.previous(v1alpha1.ConditionAccepted); in.Volumes.Err != nil && c != nil && c.Reason == v1alpha1.ReasonVolumeNotShareable {
		return *c
	}
	if in.Homes != nil {
		switch message, served := attach.HomeProblem(in.Homes); {
		case message != "" && !served:
			return conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonHomesWouldMove, message)
		case message != "":
			return conditions.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonHomesWouldMove, message)
		}
	}
	if warning := in.Policy.Warning(in.Listener); warning != "" {
		return conditions.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonCryptoPolicyExpired, warning)
	}
	return conditions.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "The operator acts on the spec")
}

// ready summarizes the others. Refused objects do not affect it: clients can still log in.
func (in Input) ready(list []metav1.Condition) metav1.Condition {
	no := func(reason, message string) metav1.Condition {
		return conditions.False(v1alpha1.ConditionReady, reason, message)
	}
	of := func(conditionType string) metav1.Condition {
		if c := meta.FindStatusCondition(list, conditionType); c != nil {
			return *c
		}
		return metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending}
	}
	accepted, resolved, programmed := of(v1alpha1.ConditionAccepted), of(v1alpha1.ConditionResolvedRefs), of(v1alpha1.ConditionProgrammed)
	switch {
	case accepted.Status != metav1.ConditionTrue:
		return no(accepted.Reason, accepted.Message)
	case resolved.Reason == v1alpha1.ReasonPending:
		return conditions.Unknown(v1alpha1.ConditionReady, v1alpha1.ReasonPending, resolved.Message)
	case resolved.Status == metav1.ConditionFalse:
		return no(resolved.Reason, resolved.Message)
	case volumes.Replicas(in.Listener) == 0:
		return no(v1alpha1.ReasonScaledToZero, "spec.replicas is 0; raise it to serve clients")
	case programmed.Reason == v1alpha1.ReasonConfigPending && in.Acks != nil && in.Acks.Ready == 0 && in.delivered():
		return no(v1alpha1.ReasonPodsUnavailable, in.noPods())
	case programmed.Status == metav1.ConditionUnknown && programmed.Reason == v1alpha1.ReasonPending:
		return conditions.Unknown(v1alpha1.ConditionReady, v1alpha1.ReasonPending, programmed.Message)
	case programmed.Status != metav1.ConditionTrue:
		return no(programmed.Reason, programmed.Message)
	}
	return conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "Clients can log in")
}

func (in Input) delivered() bool { return in.Access != nil && in.Access.Delivered.Version != nil }

// noPods returns why no pod is ready, as far as known.
func (in Input) noPods() string {
	if why := in.Workload.Rollout.PodsRefused; why != "" {
		return "Pods cannot be created: " + why
	}
	return fmt.Sprintf("No pod is ready; kubectl -n %s describe pods -l %s says why", in.Listener.Namespace, in.selector())
}

// selector returns the label selector of the listener's pods.
func (in Input) selector() string {
	return labels.SelectorFromSet(render.Selector(in.Listener)).String()
}
