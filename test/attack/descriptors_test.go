package attack

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/health"
)

// startFew starts a daemon with a low descriptor limit.
func startFew(t *testing.T, dir *configtest.Dir, few int) *daemontest.Daemon {
	t.Helper()
	return daemontest.StartCommand(t, dir, program, func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, few), cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	})
}

// silence opens connections that send nothing, each from an address that from returns.
func silence(t *testing.T, addr string, n int, from func(int) string) {
	t.Helper()
	for i := range n {
		c, err := daemontest.DialFrom(addr, from(i))
		if err != nil {
			continue // refused
		}
		t.Cleanup(func() { c.Close() })
	}
}

// TestSilentHealthPort: silent connections to the health port and to the SFTP port neither use up the descriptors of a process
// with few of them, nor prevent it from answering the kubelet, the operator and Prometheus.
func TestSilentHealthPort(t *testing.T) {
	for name, from := range map[string]func(int) string{
		"one address":    func(int) string { return "127.0.0.2" },
		"many addresses": func(i int) string { return fmt.Sprintf("127.0.1.%d", i%250+1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, _ := configtest.Key(t)
			dir := endpoint(t)
			dir.AddUser("ada", "", key.PublicKey())
			d := startFew(t, dir, 256)
			u := user{d, key}
			session := d.MustDial(t, "ada", ssh.PublicKeys(key))
			healthAddr := d.Health[len("http://"):]
			silence(t, healthAddr, 300, from)
			silence(t, d.Addr, 300, from)
			silent := time.Now()
			begin := silent
			for _, path := range []string{"/readyz", "/livez", "/configz", "/metrics"} {
				if code, body := d.Get(t, path); code != 200 {
					t.Errorf("%s: %d %s", path, code, body)
				}
			}
			took := time.Since(begin)
			if _, _, err := session.SendRequest("keepalive@openssh.com", true, nil); err != nil {
				t.Error("an existing session:", err)
			}
			// A silent connection is sure of its place for a second, and then gives it up to the next client.
			time.Sleep(time.Until(silent.Add(1100 * time.Millisecond)))
			if err := u.login(); err != nil {
				t.Error("the first login after a second:", err)
			}
			// A client waiting to be accepted is briefly among the kernel's connections.
			n := established(t, d.PID, healthAddr)
			for look := 0; look < 20 && n > health.MaxConnections; look++ {
				time.Sleep(50 * time.Millisecond)
				n = min(n, established(t, d.PID, healthAddr))
			}
			if n > health.MaxConnections {
				t.Errorf("%d connections to the health port, the bound is %d", n, health.MaxConnections)
			}
			fmt.Printf("LOAD %s: 300 silent connections to each port, 256 descriptors: 4 answers of the health port in %.1f ms, first login ok\n",
				name, ms(took))
		})
	}
}

// established counts the connections of a port on the daemon's side (proc_pid_net(5)).
func established(t *testing.T, pid int, addr string) (n int) {
	t.Helper()
	a := netip.MustParseAddrPort(addr)
	ip := a.Addr().As4()
	// The whole address: a client with another one may have the same port.
	daemon := fmt.Sprintf("%08X:%04X", binary.LittleEndian.Uint32(ip[:]), a.Port())
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		const local, state = 1, 3
		if f := strings.Fields(line); f[local] == daemon && f[state] == "01" {
			n++
		}
	}
	return n
}
