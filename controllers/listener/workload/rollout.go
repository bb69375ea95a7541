package workload

import (
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// State is the rollout state of a listener's pods.
type State string

// The states. The empty one is unknown: the Deployment could not be read or applied.
const (
	// Starting: the first pods of the listener are being created.
	Starting State = "Starting"
	// Rolling: pods are being replaced.
	Rolling State = "Rolling"
	// Stuck: the new pods do not become ready.
	Stuck State = "Stuck"
	// Complete: all pods run the current template.
	Complete State = "Complete"
	// Held: the Deployment is left unchanged.
	Held State = "Held"
)

// Rollout is the state of the pods, and what waits.
type Rollout struct {
	State State
	// Why the Deployment is held, if its volumes are the reason.
	Why string
	// Changes name what the pods are being replaced for.
	Changes []string
	// Recreate is set if the old pods end before the new ones start, because only one node
	// can mount a volume.
	Recreate bool
	// RestartsOnlyPod is set if replacing them just began and there was a pod: the endpoint is
	// unavailable until the new one is ready.
	RestartsOnlyPod bool
	// Pending is a change that waits; nil if none does.
	Pending *Pending
	// Busy is how many listeners are being rolled out, if this one waits for its turn.
	Busy int
	// PodsRefused is why pods cannot be created, according to the Deployment's controller: a
	// quota, or a policy. Empty if they can.
	PodsRefused string
}

// Pending is a waiting change to the pods.
type Pending struct {
	Reason  v1alpha1.PendingRestartReason
	Changes []string
	Since   time.Time
}
