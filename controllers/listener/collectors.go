package listener

import (
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
)

var (
	readyDesc = prometheus.NewDesc("sftp_operator_listener_ready",
		"1 if the condition Ready of a listener is True. Absent while it is paused or has no replicas.", []string{"namespace", "listener"}, nil)
	podsDesc = prometheus.NewDesc("sftp_operator_listener_pods",
		"Pods of a listener: ready, and acknowledged (of those, the ones that have loaded the current configuration).", []string{"namespace", "listener", "state"}, nil)
	usersDesc = prometheus.NewDesc("sftp_operator_listener_users",
		"SFTPUsers that name a listener: ready, inactive (intentionally unable to log in), waiting (will be ready without intervention), not_ready (needs a correction).", []string{"namespace", "listener", "state"}, nil)
	rolloutsDesc = prometheus.NewDesc("sftp_operator_rollouts",
		"Listeners whose pods do not run the current template, by reason: running, stalled (new pods do not become ready), queued, paused, or blocked by another condition.", []string{"state"}, nil)
	violationsDesc = prometheus.NewDesc("sftp_operator_listener_platform_violations",
		"Platform bounds that the spec of a listener violates.", []string{"namespace", "listener"}, nil)
	certificateEndDesc = prometheus.NewDesc("sftp_operator_host_certificate_expiration_timestamp_seconds",
		"When the host certificate of a listener's SFTPKey expires.", []string{"namespace", "listener", "key"}, nil)
	certificateRenewalDesc = prometheus.NewDesc("sftp_operator_host_certificate_renewal_timestamp_seconds",
		"When the host certificate of a listener's SFTPKey becomes due for renewal.", []string{"namespace", "listener", "key"}, nil)
	keysDesc = prometheus.NewDesc("sftp_operator_user_keys",
		"Public keys of the users of a listener, by state as in SFTPUser.status.keys.", []string{"namespace", "listener", "state"}, nil)
	sharedDesc = prometheus.NewDesc("sftp_operator_user_keys_shared",
		"Public keys that several users of a listener have.", []string{"namespace", "listener"}, nil)

	// rolloutStates are those of sftp_operator_rollouts, by the reasons of the condition RolledOut.
	rolloutStates = map[string]string{
		v1alpha1.ReasonRollingOut: "running", v1alpha1.ReasonRolloutStalled: "stalled", v1alpha1.ReasonRolloutQueued: "queued",
		v1alpha1.ReasonRolloutPaused: "paused", v1alpha1.ReasonRolloutBlocked: "blocked",
	}

	userStates = []string{"ready", "inactive", "waiting", "not_ready"}

	keyStates = []v1alpha1.KeyState{
		v1alpha1.KeyActive, v1alpha1.KeyExpiring, v1alpha1.KeyExpired, v1alpha1.KeyNotYetValid,
		v1alpha1.KeyUnused, v1alpha1.KeyWeak, v1alpha1.KeyAssignedElsewhere, v1alpha1.KeyRevoked,
	}
)

// listenerState is what metrics show for one listener.
type listenerState struct {
	// ready is nil while the listener is not supposed to serve.
	ready              *bool
	pods, acknowledged int
	// users by the label state.
	users map[string]int
	// rollout is the reason of the condition RolledOut.
	rollout string
	// violations are the bounds of the platform that the spec breaks.
	violations int
	// certificates are the host certificates that expire.
	certificates []hostkeys.Certificate
}

// stateCollector shows the states of listeners.
type stateCollector struct {
	mu sync.Mutex
	of map[types.NamespacedName]listenerState
}

func (c *stateCollector) set(listener types.NamespacedName, s listenerState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[listener] = s
}

func (c *stateCollector) get(listener types.NamespacedName) listenerState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[listener]
}

func (c *stateCollector) forget(listener types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, listener)
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	out <- readyDesc
	out <- podsDesc
	out <- usersDesc
	out <- rolloutsDesc
	out <- violationsDesc
	out <- certificateEndDesc
	out <- certificateRenewalDesc
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rollouts := map[string]int{}
	for l, s := range c.of {
		rollouts[s.rollout]++
		gauge := func(desc *prometheus.Desc, value int, labels ...string) {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), append([]string{l.Namespace, l.Name}, labels...)...)
		}
		if s.ready != nil {
			ready := 0
			if *s.ready {
				ready = 1
			}
			gauge(readyDesc, ready)
		}
		gauge(violationsDesc, s.violations)
		for _, k := range s.certificates {
			gauge(certificateEndDesc, int(k.End.Unix()), k.Key)
			gauge(certificateRenewalDesc, int(k.Renewal.Unix()), k.Key)
		}
		gauge(podsDesc, s.pods, "ready")
		gauge(podsDesc, s.acknowledged, "acknowledged")
		for _, state := range userStates {
			gauge(usersDesc, s.users[state], state)
		}
	}
	if len(c.of) == 0 {
		return // not the leader: the leader exports these
	}
	for reason, state := range rolloutStates {
		out <- prometheus.MustNewConstMetric(rolloutsDesc, prometheus.GaugeValue, float64(rollouts[reason]), state)
	}
}

// keyCount are the keys of one listener.
type keyCount struct {
	byState map[v1alpha1.KeyState]int
	shared  int
}

// keyCollector shows the counts of keys.
type keyCollector struct {
	mu sync.Mutex
	of map[types.NamespacedName]keyCount
}

func (c *keyCollector) set(listener types.NamespacedName, n keyCount) {
	n.byState = maps.Clone(n.byState)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[listener] = n
}

func (c *keyCollector) forget(listener types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, listener)
}

// Describe implements prometheus.Collector.
func (c *keyCollector) Describe(out chan<- *prometheus.Desc) {
	out <- keysDesc
	out <- sharedDesc
}

// Collect implements prometheus.Collector.
func (c *keyCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l, n := range c.of {
		for _, state := range keyStates {
			out <- prometheus.MustNewConstMetric(keysDesc, prometheus.GaugeValue, float64(n.byState[state]), l.Namespace, l.Name, string(state))
		}
		out <- prometheus.MustNewConstMetric(sharedDesc, prometheus.GaugeValue, float64(n.shared), l.Namespace, l.Name)
	}
}
