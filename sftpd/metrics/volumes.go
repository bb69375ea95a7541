package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

var volumeDesc = prometheus.NewDesc("sftpd_volume_writable",
	"1 if files can be created on the volume, 0 if not. Only for volumes that users may write to.", []string{"volume"}, nil)

// WatchVolumes exports whether volumes are writable. Their number is bounded by the listener.
func (m *Metrics) WatchVolumes(status func() []config.VolumeStatus) {
	m.Registry.MustRegister(volumeCollector(status))
}

type volumeCollector func() []config.VolumeStatus

// Describe implements prometheus.Collector.
func (volumeCollector) Describe(out chan<- *prometheus.Desc) { out <- volumeDesc }

// Collect implements prometheus.Collector.
func (c volumeCollector) Collect(out chan<- prometheus.Metric) {
	for _, v := range c() {
		writable := 0.0
		if v.Problem == "" {
			writable = 1
		}
		out <- prometheus.MustNewConstMetric(volumeDesc, prometheus.GaugeValue, writable, v.Name)
	}
}
