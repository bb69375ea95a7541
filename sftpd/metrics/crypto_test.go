package metrics_test

import (
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
)

// TestLabelsAreBounded: a name that no policy contains does not create a label value.
func TestLabelsAreBounded(t *testing.T) {
	m := metrics.New("test")
	for _, name := range []string{"made-up-1", "made-up-2", "ssh-ed25519", ""} {
		m.Emit(event.Login{Connection: &event.Connection{}, Algorithms: event.Algorithms{HostKey: name}})
	}
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "sftpd_negotiated_algorithms_total" {
			for _, sample := range f.GetMetric() {
				have[sample.GetLabel()[0].GetValue()] = sample.GetCounter().GetValue()
			}
		}
	}
	if len(have) != 2 || have["other"] != 2 || have["ssh-ed25519"] != 1 {
		t.Errorf("%v", have)
	}
}
