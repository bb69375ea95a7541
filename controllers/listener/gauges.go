package listener

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

var (
	readyDesc = prometheus.NewDesc("sftp_operator_listener_ready",
		"1 if the condition Ready of a listener is True. None while it is paused or has no replicas.", []string{"namespace", "listener"}, nil)
	podsDesc = prometheus.NewDesc("sftp_operator_listener_pods",
		"Pods of a listener: ready, and acknowledged (of those, the ones that have loaded the present configuration).", []string{"namespace", "listener", "state"}, nil)
	usersDesc = prometheus.NewDesc("sftp_operator_listener_users",
		"SFTPUsers that name a listener, by their condition Ready: ready, not_ready.", []string{"namespace", "listener", "state"}, nil)
	rolloutsDesc = prometheus.NewDesc("sftp_operator_rollouts",
		"Listeners whose pods are not of the present template, by why: running, queued for their turn, paused, or blocked by another condition.", []string{"state"}, nil)

	// rolloutStates are those of sftp_operator_rollouts, by the reasons of the condition RolledOut.
	rolloutStates = map[string]string{
		v1alpha1.ReasonRollingOut: "running", v1alpha1.ReasonRolloutQueued: "queued",
		v1alpha1.ReasonRolloutPaused: "paused", v1alpha1.ReasonRolloutBlocked: "blocked",
	}

	// listenerStates shows the listeners; registered once in a process, as the library's metrics are.
	listenerStates = newStateCollector()

	acknowledgement = newAcknowledgement()
)

func newAcknowledgement() prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "sftp_operator_acknowledgement_duration_seconds",
		Help:    "Time from writing a configuration until all ready pods of a listener had loaded it.",
		Buckets: []float64{0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300},
	})
	metrics.Registry.MustRegister(h)
	return h
}

func newStateCollector() *stateCollector {
	c := &stateCollector{of: map[types.NamespacedName]listenerState{}}
	metrics.Registry.MustRegister(c)
	return c
}

// listenerState is what metrics show of one listener.
type listenerState struct {
	// ready is nil while the listener is not meant to serve.
	ready                *bool
	pods, acknowledged   int
	usersReady, notReady int
	// rollout is the reason of the condition RolledOut.
	rollout string
}

// stateCollector shows listeners. Labels are the listeners alone: no user, no pod.
type stateCollector struct {
	mu sync.Mutex
	of map[types.NamespacedName]listenerState
}

func (c *stateCollector) set(listener types.NamespacedName, s listenerState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[listener] = s
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
		gauge(podsDesc, s.pods, "ready")
		gauge(podsDesc, s.acknowledged, "acknowledged")
		gauge(usersDesc, s.usersReady, "ready")
		gauge(usersDesc, s.notReady, "not_ready")
	}
	if len(c.of) == 0 {
		return // this operator does not lead, and another one knows
	}
	for reason, state := range rolloutStates {
		out <- prometheus.MustNewConstMetric(rolloutsDesc, prometheus.GaugeValue, float64(rollouts[reason]), state)
	}
}

// publishState hands what is known of the listener to the metrics; its conditions are those of now.
func (s *scope) publishState(ready condition) {
	st := listenerState{pods: s.acks.Ready, acknowledged: s.acks.Acknowledged, usersReady: s.usersReady, notReady: s.usersNotReady}
	if s.accepted.Reason != v1alpha1.ReasonPaused && ready.Reason != v1alpha1.ReasonScaledToZero {
		st.ready = new(ready.Status == metav1.ConditionTrue)
	}
	if c := meta.FindStatusCondition(s.listener.Status.Conditions, v1alpha1.ConditionRolledOut); c != nil {
		st.rollout = c.Reason
	}
	if s.accepted.Reason == v1alpha1.ReasonPaused && st.rollout == v1alpha1.ReasonRolloutQueued {
		st.rollout = v1alpha1.ReasonRolloutPaused // it keeps its condition, and asks for no turn
	}
	listenerStates.set(s.name(), st)
	showHostKeys(s.name())
}

// countUsers counts those who can log in, and the others.
func (s *scope) countUsers(outcomes []user.Outcome) {
	for _, o := range outcomes {
		isReady := false
		for _, c := range o.Conditions {
			isReady = isReady || c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionTrue
		}
		if isReady {
			s.usersReady++
		} else {
			s.usersNotReady++
		}
	}
}

// delivery measures how long a configuration takes to the pods.
type delivery struct {
	digest string
	// since is zero once it has arrived.
	since time.Time
}

// note takes what is known at a time of a configuration. The clock starts when there is a
// ready pod to bring it to: before, it is the pod that takes time. known says that an
// operator before this one saw it arrive.
func (d *delivery) note(now time.Time, digest string, pods int, arrived, known bool) {
	if d.digest != digest {
		*d = delivery{digest: digest}
		if !known {
			d.since = now
		}
	}
	switch {
	case d.since.IsZero():
	case arrived:
		acknowledgement.Observe(now.Sub(d.since).Seconds())
		d.since = time.Time{}
	case pods == 0:
		d.since = now
	}
}

var buildInfo = newBuildInfo()

func newBuildInfo() *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sftp_operator_build_info", Help: "1, with the operator's version."}, []string{"version"})
	metrics.Registry.MustRegister(g)
	return g
}

// ShowVersion makes the operator's version a metric.
func ShowVersion(version string) { buildInfo.WithLabelValues(version).Set(1) }
