package listener

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Metrics shows listeners, their users and their keys. Labels are the listeners and their SFTPKeys only: no user, no pod.
type Metrics struct {
	states          *stateCollector
	keys            *keyCollector
	hostKeyChanges  *prometheus.CounterVec
	acknowledgement prometheus.Histogram
}

// NewMetrics registers the metrics of one operator.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		states: &stateCollector{of: map[types.NamespacedName]listenerState{}},
		keys:   &keyCollector{of: map[types.NamespacedName]keyCount{}},
		hostKeyChanges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sftp_operator_host_key_changes_total",
			Help: "Changes of host keys' states, by the new state as in SFTPListener.status.hostKeys, or Removed.",
		}, []string{"namespace", "listener", "state"}),
		acknowledgement: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sftp_operator_acknowledgement_duration_seconds",
			Help:    "Time from writing a configuration until all ready pods of a listener had loaded it.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300},
		}),
	}
	for _, c := range []prometheus.Collector{m.states, m.keys, m.hostKeyChanges, m.acknowledgement} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// acknowledged records how long a configuration took to reach the pods.
func (m *Metrics) acknowledged(d time.Duration) { m.acknowledgement.Observe(d.Seconds()) }

func (m *Metrics) hostKeyChanged(listener types.NamespacedName, state v1alpha1.HostKeyState) {
	m.hostKeyChanges.WithLabelValues(listener.Namespace, listener.Name, string(state)).Inc()
}

// show updates the metrics from a reconcile.
func (m *Metrics) show(f *findings, st v1alpha1.SFTPListenerStatus) {
	name := types.NamespacedName{Namespace: f.listener.Namespace, Name: f.listener.Name}
	s := stateOf(st)
	s.violations = len(f.platform.Violations)
	if s.certificates = m.states.get(name).certificates; f.hostKeys != nil && f.hostKeys.Keys != nil {
		s.certificates = f.hostKeys.Certificates
	}
	if f.acks != nil {
		s.pods, s.acknowledged = f.acks.Ready, f.acks.Acknowledged
	}
	if f.users != nil {
		s.users = map[string]int{"ready": f.users.Ready, "inactive": f.users.Inactive(), "waiting": f.users.Waiting()}
		s.users["not_ready"] = f.users.NotReady - s.users["inactive"] - s.users["waiting"]
		byState, shared := f.memory.users.Keys()
		m.keys.set(name, keyCount{byState: byState, shared: shared})
	}
	m.states.set(name, s)
	// Counters begin at 0, so that the first change counts as an increase.
	for _, state := range []v1alpha1.HostKeyState{
		v1alpha1.HostKeyStaged, v1alpha1.HostKeyAdvertised, v1alpha1.HostKeyActive, v1alpha1.HostKeyRetiring, hostKeyRemoved,
	} {
		m.hostKeyChanges.WithLabelValues(name.Namespace, name.Name, string(state))
	}
}

// pause shows a paused listener: it keeps its condition RolledOut, and leaves the queue.
func (m *Metrics) pause(name types.NamespacedName, st v1alpha1.SFTPListenerStatus) {
	s := m.states.get(name)
	s.ready, s.rollout = nil, stateOf(st).rollout
	if s.rollout == v1alpha1.ReasonRolloutQueued {
		s.rollout = v1alpha1.ReasonRolloutPaused
	}
	m.states.set(name, s)
}

func (m *Metrics) forget(name types.NamespacedName) {
	m.states.forget(name)
	m.keys.forget(name)
	m.hostKeyChanges.DeletePartialMatch(prometheus.Labels{"namespace": name.Namespace, "listener": name.Name})
}

// stateOf returns the state according to the conditions.
func stateOf(st v1alpha1.SFTPListenerStatus) (s listenerState) {
	if c := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionReady); c != nil {
		s.ready = new(c.Status == metav1.ConditionTrue)
	}
	if c := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionRolledOut); c != nil {
		s.rollout = c.Reason
	}
	return s
}
