package server_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// metric is the value of a metric of a daemon, 0 for one that has none yet.
func metric(t *testing.T, d *daemontest.Daemon, name string) float64 {
	t.Helper()
	_, all := d.Get(t, "/metrics")
	for line := range strings.Lines(all) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
	return 0
}
