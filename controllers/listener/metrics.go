package listener

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

var (
	keysDesc = prometheus.NewDesc("sftp_operator_user_keys",
		"Public keys of the users of a listener, by state as in SFTPUser.status.keys.", []string{"namespace", "listener", "state"}, nil)
	sharedDesc = prometheus.NewDesc("sftp_operator_user_keys_shared",
		"Public keys that several users of a listener have.", []string{"namespace", "listener"}, nil)

	states = []v1alpha1.KeyState{
		v1alpha1.KeyActive, v1alpha1.KeyExpiring, v1alpha1.KeyExpired, v1alpha1.KeyNotYetValid,
		v1alpha1.KeyUnused, v1alpha1.KeyWeak, v1alpha1.KeyAssignedElsewhere, v1alpha1.KeyRevoked,
	}

	// hostKeyChanges counts the steps of rotations.
	hostKeyChanges = newHostKeyChanges()

	// keyCounts is registered once in a process, as the library's own metrics are.
	keyCounts = newKeyCollector()
)

func newHostKeyChanges() *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sftp_operator_host_key_changes_total",
		Help: "Changes of host keys' states, by the state that came of it as in SFTPListener.status.hostKeys, Removed for none.",
	}, []string{"namespace", "listener", "state"})
	metrics.Registry.MustRegister(c)
	return c
}

// showHostKeys makes a listener's counters, so that the first change counts as an increase.
func showHostKeys(listener types.NamespacedName) {
	for _, state := range []v1alpha1.HostKeyState{
		v1alpha1.HostKeyStaged, v1alpha1.HostKeyAdvertised, v1alpha1.HostKeyActive, v1alpha1.HostKeyRetiring, hostKeyRemoved,
	} {
		hostKeyChanges.WithLabelValues(listener.Namespace, listener.Name, string(state))
	}
}

func forgetHostKeys(listener types.NamespacedName) {
	hostKeyChanges.DeletePartialMatch(prometheus.Labels{"namespace": listener.Namespace, "listener": listener.Name})
}

func newKeyCollector() *keyCollector {
	c := &keyCollector{of: map[types.NamespacedName]keyCount{}}
	metrics.Registry.MustRegister(c)
	return c
}

// keyCount are the keys of one listener.
type keyCount struct {
	byState map[v1alpha1.KeyState]int
	shared  int
}

// keyCollector shows the counts of keys. Labels are listeners and states alone: no user, no
// key.
type keyCollector struct {
	mu sync.Mutex
	of map[types.NamespacedName]keyCount
}

// set replaces the counts of a listener; without keys it has none.
func (c *keyCollector) set(listener types.NamespacedName, keys map[types.UID][]v1alpha1.UserKeyStatus) {
	n := keyCount{byState: map[v1alpha1.KeyState]int{}}
	users := map[string]int{}
	for _, list := range keys {
		for i := range list {
			n.byState[list[i].State]++
			if users[list[i].Fingerprint]++; users[list[i].Fingerprint] == 2 {
				n.shared++
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if keys == nil {
		delete(c.of, listener)
		return
	}
	c.of[listener] = n
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
		for _, state := range states {
			out <- prometheus.MustNewConstMetric(keysDesc, prometheus.GaugeValue, float64(n.byState[state]), l.Namespace, l.Name, string(state))
		}
		out <- prometheus.MustNewConstMetric(sharedDesc, prometheus.GaugeValue, float64(n.shared), l.Namespace, l.Name)
	}
}
