package render

import (
	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

const defaultSamplingPercent = 100

// tracing returns zero, which is not written, without an endpoint: a daemon that does not
// know the field would refuse the whole configuration.
func tracing(l *v1alpha1.SFTPListener) config.Tracing {
	t := l.Spec.Tracing
	if t.Endpoint == "" {
		return config.Tracing{}
	}
	return config.Tracing{Endpoint: t.Endpoint, SamplingPercent: or(t.SamplingPercent, defaultSamplingPercent)}
}
