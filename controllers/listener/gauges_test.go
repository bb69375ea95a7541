package listener

import (
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func observed(t *testing.T) (count uint64, sum float64) {
	t.Helper()
	var m dto.Metric
	if err := acknowledgement.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
}

// The time of a delivery is counted once, from when there was a pod to bring it to.
func TestDelivery(t *testing.T) {
	start := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	type note struct {
		seconds        int
		digest         string
		pods           int
		arrived, known bool
	}
	for name, tc := range map[string]struct {
		notes []note
		want  []float64
	}{
		"at once":                        {[]note{{0, "a", 1, false, false}, {2, "a", 1, true, false}}, []float64{2}},
		"counted once":                   {[]note{{0, "a", 1, false, false}, {2, "a", 1, true, false}, {9, "a", 1, true, false}}, []float64{2}},
		"after several tries":            {[]note{{0, "a", 2, false, false}, {2, "a", 2, false, false}, {7, "a", 2, true, false}}, []float64{7}},
		"the pod came late":              {[]note{{0, "a", 1, false, false}, {2, "a", 0, false, false}, {60, "a", 0, false, false}, {63, "a", 1, true, false}}, []float64{3}},
		"another before the first":       {[]note{{0, "a", 1, false, false}, {2, "b", 1, false, false}, {5, "b", 1, true, false}}, []float64{3}},
		"an operator before has seen it": {[]note{{0, "a", 1, false, true}, {2, "a", 1, true, true}}, nil},
		"a pod lost it again":            {[]note{{0, "a", 1, false, true}, {2, "a", 1, false, true}, {4, "a", 1, true, true}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			count, sum := observed(t)
			var d delivery
			for _, n := range tc.notes {
				d.note(at(n.seconds), n.digest, n.pods, n.arrived, n.known)
			}
			wantSum := sum
			for _, s := range tc.want {
				wantSum += s
			}
			if gotCount, gotSum := observed(t); gotCount-count != uint64(len(tc.want)) || gotSum != wantSum {
				t.Errorf("%d observations, %g s; want %v", gotCount-count, gotSum-sum, tc.want)
			}
		})
	}
}

// A listener that is not meant to serve has no series that could raise an alarm, and one that is gone has none at all.
func TestListenerSeries(t *testing.T) {
	c := &stateCollector{of: map[types.NamespacedName]listenerState{}}
	series := func() int {
		out := make(chan prometheus.Metric, 20)
		c.Collect(out)
		return len(out)
	}
	name := types.NamespacedName{Namespace: "files", Name: "partners"}
	c.set(name, listenerState{ready: new(false)})
	if n := series(); n != 9 {
		t.Errorf("%d series", n)
	}
	c.set(name, listenerState{})
	if n := series(); n != 8 {
		t.Errorf("%d series without a wish to serve", n)
	}
	c.forget(name)
	if n := series(); n != 0 {
		t.Errorf("%d series of a listener that is gone", n)
	}
}

// Roll-outs are counted by why they are not over; a listener that is rolled out, or never was, is none.
func TestRolloutSeries(t *testing.T) {
	c := &stateCollector{of: map[types.NamespacedName]listenerState{}}
	for i, reason := range []string{
		v1alpha1.ReasonRolloutQueued, v1alpha1.ReasonRolloutQueued, v1alpha1.ReasonRollingOut, v1alpha1.ReasonRolloutPaused, v1alpha1.ReasonRolledOut, "",
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
	if want := map[string]float64{"running": 1, "queued": 2, "paused": 1, "blocked": 0}; !maps.Equal(got, want) {
		t.Errorf("roll-outs %v, want %v", got, want)
	}
}
