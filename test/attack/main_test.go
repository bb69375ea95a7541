package attack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// program is the daemon, built once for all tests.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "attack")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "sftpd")
	build := exec.Command("go", "build", "-o", program, "../../cmd/sftpd")
	if out, err := build.CombinedOutput(); err != nil {
		panic("building sftpd: " + string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// endpoint returns the configuration of a listener with the limits that the operator sets by default.
func endpoint(t *testing.T) *configtest.Dir {
	t.Helper()
	dir := configtest.New(t)
	dir.Listener.Authentication.LoginGraceSeconds = 30
	dir.Listener.Limits.MaxConnections = 500
	dir.Listener.Startups = config.Startups{Begin: 50, DropPercent: 30, Full: 200, PerSource: 20}
	dir.Listener.Sources.Penalties = true
	return dir
}

func start(t *testing.T, dir *configtest.Dir) *daemontest.Daemon {
	t.Helper()
	return daemontest.StartProgram(t, dir, program)
}

// metrics returns the daemon's current metrics, by name and labels.
func metrics(t *testing.T, d *daemontest.Daemon) map[string]float64 {
	t.Helper()
	_, all := d.Get(t, "/metrics")
	out := map[string]float64{}
	for line := range strings.Lines(all) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if f, err := strconv.ParseFloat(value, 64); ok && err == nil {
			out[name] = f
		}
	}
	return out
}

// refusals returns the numbers of refused connections, by reason.
func refusals(m map[string]float64) map[string]int {
	out := map[string]int{}
	for name, n := range m {
		if rest, ok := strings.CutPrefix(name, `sftpd_refusals_total{reason="`); ok && n > 0 {
			out[strings.TrimSuffix(rest, `"}`)] = int(n)
		}
	}
	return out
}

// memory returns a value from /proc/<pid>/status in bytes (proc_pid_status(5)): VmRSS, or VmHWM for the peak.
func memory(t *testing.T, d *daemontest.Daemon, field string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			var kib int
			if _, err := fmt.Sscanf(value, "%d kB", &kib); err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s", field)
	return 0
}

const mib = 1 << 20
