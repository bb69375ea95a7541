package listener

import (
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
)

// A listener that is not meant to serve has no series that could raise an alert, and a deleted one has none at all.
func TestListenerSeries(t *testing.T) {
	c := &stateCollector{of: map[types.NamespacedName]listenerState{}}
	series := func() int {
		out := make(chan prometheus.Metric, 20)
		c.Collect(out)
		return len(out)
	}
	name := types.NamespacedName{Namespace: "files", Name: "partners"}
	c.set(name, listenerState{ready: new(false)})
	if n := series(); n != 13 {
		t.Errorf("%d series", n)
	}
	c.set(name, listenerState{ready: new(false), certificates: []hostkeys.Certificate{{Key: "a"}, {Key: "b"}}})
	if n := series(); n != 17 {
		t.Errorf("%d series with two host certificates", n)
	}
	c.set(name, listenerState{})
	if n := series(); n != 12 {
		t.Errorf("%d series without a wish to serve", n)
	}
	c.forget(name)
	if n := series(); n != 0 {
		t.Errorf("%d series of a listener that is gone", n)
	}
}

// Rollouts are counted by the reason for which they are pending; a listener that has finished its rollout, or never had one, is
// not counted.
func TestRolloutSeries(t *testing.T) {
	c := &stateCollector{of: map[types.NamespacedName]listenerState{}}
	for i, reason := range []string{
		v1alpha1.ReasonRolloutQueued, v1alpha1.ReasonRolloutQueued, v1alpha1.ReasonRollingOut, v1alpha1.ReasonRolloutPaused, v1alpha1.ReasonRolledOut, "", v1alpha1.ReasonRolloutStalled,
	} {
		c.set(types.NamespacedName{Name: strconv.Itoa(i)}, listenerState{rollout: reason})
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "sftp_operator_rollouts" {
				got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	if want := map[string]float64{"running": 1, "stalled": 1, "queued": 2, "paused": 1, "blocked": 0}; !maps.Equal(got, want) {
		t.Errorf("rollouts %v, want %v", got, want)
	}
}

func TestKeyMetrics(t *testing.T) {
	c := &keyCollector{of: map[types.NamespacedName]keyCount{}}
	l := types.NamespacedName{Namespace: "files", Name: "public"}
	c.set(l, keyCount{byState: map[v1alpha1.KeyState]int{v1alpha1.KeyActive: 3, v1alpha1.KeyExpired: 1, v1alpha1.KeyUnused: 1}, shared: 1})
	gather := func() map[string]float64 {
		t.Helper()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(c)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				words := []string{f.GetName()}
				for _, label := range m.GetLabel() {
					words = append(words, label.GetValue())
				}
				out[strings.Join(words, " ")] = m.GetGauge().GetValue()
			}
		}
		return out
	}
	want := map[string]float64{"sftp_operator_user_keys_shared public files": 1}
	for _, state := range keyStates {
		want["sftp_operator_user_keys public files "+string(state)] = map[v1alpha1.KeyState]float64{"Active": 3, "Expired": 1, "Unused": 1}[state]
	}
	if got := gather(); !maps.Equal(got, want) {
		t.Errorf("metrics %v, want %v", got, want)
	}
	c.forget(l)
	if got := gather(); len(got) != 0 {
		t.Errorf("metrics %v of a listener that is gone", got)
	}
}
