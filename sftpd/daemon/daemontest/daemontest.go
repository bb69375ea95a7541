// Package daemontest runs a daemon inside a test.
package daemontest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
)

// Daemon is a running daemon.
type Daemon struct {
	// Addr is the SFTP port's address, Health the URL of the health port.
	Addr, Health string
	// PID is set for a daemon in its own process, and Stdout and Stderr are its outputs.
	PID            int
	Stdout, Stderr *Pipe
	// Terminate is the first SIGTERM, Force the second.
	Terminate, Force context.CancelFunc

	audit, log buffer
	done       chan struct{}
	err        error
}

// Start writes the directory and runs a daemon with it until the test ends; adjust may change the server first. It returns when
// the daemon is ready.
func Start(t testing.TB, dir *configtest.Dir, adjust ...func(*server.Server)) *Daemon {
	t.Helper()
	return StartOn(t, dir, Listen(t, "127.0.0.1:0"), adjust...)
}

// StartOn is Start with the caller's listener.
func StartOn(t testing.TB, dir *configtest.Dir, sftp net.Listener, adjust ...func(*server.Server)) *Daemon {
	t.Helper()
	digest := dir.Write(t)
	d := start(t, dir, sftp, adjust...)
	d.ready(t, digest)
	return d
}

// ready waits until the daemon is ready and shows its configuration in its status, which happens a moment later.
func (d *Daemon) ready(t testing.TB, digest string) {
	t.Helper()
	d.Eventually(t, "daemon is ready", func() bool { code, _ := d.Get(t, "/readyz"); return code == http.StatusOK })
	d.Eventually(t, "its status shows the configuration", func() bool { return d.Status(t).Digest == digest })
}

// StartProgram is Start with the daemon in a separate process: program is sftpd, which a test may have built without the race
// detector. Terminate and Force are real signals.
func StartProgram(t testing.TB, dir *configtest.Dir, program string) *Daemon {
	t.Helper()
	return StartCommand(t, dir, program, func(*exec.Cmd) {})
}

// StartCommand is StartProgram with a command that the caller changes.
func StartCommand(t testing.TB, dir *configtest.Dir, program string, change func(*exec.Cmd)) *Daemon {
	t.Helper()
	digest := dir.Write(t)
	d := &Daemon{done: make(chan struct{})}
	d.Stdout, d.Stderr = newPipe(t, &d.audit), newPipe(t, &d.log)
	const anyPort = "127.0.0.1:0"
	cmd := exec.CommandContext(context.Background(), program, //nolint:gosec // the test's own program
		"serve", "-config", dir.Path, "-listen", anyPort, "-health", anyPort)
	cmd.Stdout, cmd.Stderr = d.Stdout.w, d.Stderr.w
	if change(cmd); cmd.Start() != nil {
		t.Fatal("the daemon did not start: ", program)
	}
	d.PID = cmd.Process.Pid
	d.Terminate = func() { _ = cmd.Process.Signal(syscall.SIGTERM) } // it may have ended
	d.Force = d.Terminate
	go func() {
		defer close(d.done)
		d.err = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have exited
		<-d.done
		if t.Failed() {
			t.Logf("audit log:\n%s\nlog:\n%s", d.audit.String(), d.log.String())
		}
	})
	// The first line of its log contains the ports that the kernel chose.
	var starting struct{ SFTP, Health string }
	d.Eventually(t, "daemon starts", func() bool {
		line, _, whole := strings.Cut(d.log.String(), "\n")
		return whole && json.Unmarshal([]byte(line), &starting) == nil
	})
	d.Addr, d.Health = starting.SFTP, "http://"+starting.Health
	d.ready(t, digest)
	return d
}

// StartUnconfigured runs a daemon with an unchanged directory.
func StartUnconfigured(t testing.TB, dir *configtest.Dir) *Daemon {
	t.Helper()
	return start(t, dir, Listen(t, "127.0.0.1:0"))
}

// StartWith is Start with options that the caller changes.
func StartWith(t testing.TB, dir *configtest.Dir, change func(*daemon.Options)) *Daemon {
	t.Helper()
	digest := dir.Write(t)
	d := startWith(t, dir, Listen(t, "127.0.0.1:0"), change)
	d.ready(t, digest)
	return d
}

func start(t testing.TB, dir *configtest.Dir, sftp net.Listener, adjust ...func(*server.Server)) *Daemon {
	t.Helper()
	return startWith(t, dir, sftp, func(o *daemon.Options) {
		o.Adjust = func(s *server.Server) {
			for _, change := range adjust {
				change(s)
			}
		}
	})
}

func startWith(t testing.TB, dir *configtest.Dir, sftp net.Listener, change func(*daemon.Options)) *Daemon {
	t.Helper()
	health := Listen(t, "127.0.0.1:0")
	d := &Daemon{Addr: sftp.Addr().String(), Health: "http://" + health.Addr().String(), done: make(chan struct{})}
	ctx, terminate := context.WithCancel(context.Background())
	force, forced := context.WithCancel(context.Background())
	d.Terminate, d.Force = terminate, func() { terminate(); forced() }
	options := daemon.Options{
		ConfigDir: dir.Path, SFTP: sftp, Health: health, Audit: &d.audit, Version: "test", Pod: Pod,
		Log: slog.New(slog.NewJSONHandler(&d.log, nil)),
	}
	change(&options)
	run := daemon.New(options)
	go func() {
		defer close(d.done)
		d.err = run.Run(ctx, force)
	}()
	t.Cleanup(func() {
		d.Force()
		<-d.done
		if t.Failed() {
			t.Logf("audit log:\n%s\nlog:\n%s", d.audit.String(), d.log.String())
		}
	})
	return d
}

// Pod is the name of the pod that daemons run in.
const Pod = "partners-sftp-5d8f7c9b6d-x2x4z"

// Listen listens on a TCP address.
func Listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Wait waits for the daemon's end and returns what Run returned.
func (d *Daemon) Wait(t testing.TB, limit time.Duration) error {
	t.Helper()
	select {
	case <-d.done:
		return d.err
	case <-time.After(limit):
		t.Fatalf("the daemon is still running after %s", limit)
		return nil
	}
}

// Get requests a path of the health port.
func (d *Daemon) Get(t testing.TB, path string) (int, string) {
	t.Helper()
	return d.Request(t, http.MethodGet, path)
}

// Request sends a request without a body to the health port. An error gives the code 0.
func (d *Daemon) Request(t testing.TB, method, path string) (int, string) {
	t.Helper()
	return d.RequestWith(t, method, path, http.Header{})
}

// RequestWith is Request with headers.
func (d *Daemon) RequestWith(t testing.TB, method, path string, header http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, d.Health+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// Status gets /configz.
func (d *Daemon) Status(t testing.TB) config.Status {
	t.Helper()
	_, body := d.Get(t, config.StatusPath)
	var st config.Status
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return st
}

// KeyUse requests what changed after a report, with the key of the directory.
func (d *Daemon) KeyUse(t testing.TB, dir *configtest.Dir, before config.KeyUseReport) config.KeyUseReport {
	t.Helper()
	const nonce = "a nonce of the operator"
	key, q := config.StatusKey(dir.HostKeys), config.KeyUseQuestion{Instance: before.Instance, Sequence: before.Sequence, Limit: config.MaxKeyUses}
	code, body := d.RequestWith(t, http.MethodGet, KeyUsePath(q), http.Header{
		config.NonceHeader: {nonce}, config.ProofHeader: {config.KeyUseProof(key, nonce, Pod, q)},
	})
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, body)
	}
	opened, err := config.OpenKeyUse(key, nonce, Pod, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var r config.KeyUseReport
	if err := json.Unmarshal(opened, &r); err != nil {
		t.Fatalf("%v: %s", err, opened)
	}
	return r
}

// KeyUsePath returns the path of a question.
func KeyUsePath(q config.KeyUseQuestion) string {
	return fmt.Sprintf("%s?%s=%s&%s=%d&%s=%d", config.KeyUsePath,
		config.KeyUseInstance, q.Instance, config.KeyUseSequence, q.Sequence, config.KeyUseLimit, q.Limit)
}

// Reload writes the directory and waits until the daemon has loaded it.
func (d *Daemon) Reload(t testing.TB, dir *configtest.Dir) {
	t.Helper()
	digest := dir.Write(t)
	d.Eventually(t, "configuration "+digest+" is loaded", func() bool { return d.Status(t).Digest == digest })
}

// Eventually fails the test if a condition does not become true. It waits for up to a minute, for busy machines, so do not use
// it for something that must be fast.
func (d *Daemon) Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}

// Second returns the length of a second in time limits: on a busy machine, as many seconds as SLOW_MACHINE says.
func Second() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("SLOW_MACHINE")); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return time.Second
}

// Audit returns the lines of the audit log so far for an event.
func (d *Daemon) Audit(t testing.TB, event string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(d.audit.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if m["event"] == event {
			out = append(out, m)
		}
	}
	return out
}

// WaitAudit waits for the n-th line of an event and returns it.
func (d *Daemon) WaitAudit(t testing.TB, event string, n int) map[string]any {
	t.Helper()
	d.Eventually(t, "audit log has "+event, func() bool { return len(d.Audit(t, event)) >= n })
	return d.Audit(t, event)[n-1]
}

// RawAudit returns the audit log so far.
func (d *Daemon) RawAudit() string { return d.audit.String() }

// Log returns the daemon's own log so far.
func (d *Daemon) Log() string { return d.log.String() }

// Connect opens a TCP connection to an address. It is closed with the test.
func Connect(t testing.TB, addr string) net.Conn {
	t.Helper()
	var dialer net.Dialer
	c, err := dialer.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Dial connects an SSH client with the given methods.
func (d *Daemon) Dial(user string, methods ...ssh.AuthMethod) (*ssh.Client, error) {
	return ssh.Dial("tcp", d.Addr, &ssh.ClientConfig{
		User: user, Auth: methods, Timeout: 10 * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // the test's own server
	})
}

// MustDial is Dial for logins that must succeed. The client is closed with the test.
func (d *Daemon) MustDial(t testing.TB, user string, methods ...ssh.AuthMethod) *ssh.Client {
	t.Helper()
	c, err := d.Dial(user, methods...)
	if err != nil {
		t.Fatalf("log in as %s: %v", user, err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test may have closed it
	admitted(c)
	return c
}

// admitted waits until the daemon has the session: a client learns of its login slightly earlier, and a configuration loaded in
// between refuses the login instead of ending the session. A daemon with a blocked audit log does not respond.
func admitted(c *ssh.Client) {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _, _ = c.SendRequest("keepalive@openssh.com", true, nil) // refused, or the session has ended: the test will show it
	}()
	select {
	case <-answered:
	case <-time.After(20 * time.Second):
	}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Done is closed when the daemon has ended.
func (d *Daemon) Done() <-chan struct{} { return d.done }
