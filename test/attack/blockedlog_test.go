package attack

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// soon is how quickly a session must end. A revocation is promised within a second.
var soon = 2 * daemontest.Second()

// busyWriter is a session that writes to an open file all the time, which causes no lines in the audit log.
type busyWriter struct {
	client *ssh.Client
	files  *sftp.Client
	file   *sftp.File
	ended  chan struct{}
	at     time.Time // of the end
}

func newWriter(t *testing.T, d *daemontest.Daemon, user string) *busyWriter {
	t.Helper()
	w := &busyWriter{client: d.MustDial(t, user, ssh.Password("secret")), ended: make(chan struct{})}
	var err error
	if w.files, err = sftp.NewClient(w.client); err != nil {
		t.Fatal(err)
	}
	if w.file, err = w.files.Create("/open"); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.ended)
		for err := error(nil); err == nil; time.Sleep(20 * time.Millisecond) {
			_, err = w.file.WriteAt([]byte("x"), 0)
		}
		w.at = time.Now()
	}()
	return w
}

// endsBy fails the test if the session does not end by the given time.
func (w *busyWriter) endsBy(t *testing.T, who string, at time.Time) {
	t.Helper()
	select {
	case <-w.ended:
	case <-time.After(time.Until(at)):
	}
	switch {
	case !w.over():
		t.Errorf("%s continues", who)
	case w.at.After(at): // a later check must compare the time
		t.Errorf("%s continued for %s", who, w.at.Sub(at))
	}
}

func (w *busyWriter) over() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

// patient is like endpoint, with users a to d, who will be removed, exp and exp2, who expire, and one who stays.
func patient(t *testing.T) *configtest.Dir {
	t.Helper()
	dir := endpoint(t)
	for _, user := range []string{"a", "b", "c", "d", "exp", "exp2", "stays"} {
		dir.AddUser(user, "secret")
	}
	dir.Listener.Shutdown.DrainTimeoutSeconds = 2
	return dir
}

// expire gives users an expiration in the near future. They are logged in already, however slow the machine is.
func expire(t *testing.T, d *daemontest.Daemon, dir *configtest.Dir, users ...string) (exp time.Time) {
	t.Helper()
	exp = time.Now().Add(5 * time.Second)
	for _, user := range users {
		dir.User(t, user).NotAfter = &exp
	}
	d.Reload(t, dir)
	return exp
}

// TestBlockedLogs: while standard output or standard error accepts nothing, or only a few bytes a second, revocations and
// expiry close sessions as fast as ever, /configz reports a configuration once they are closed, new connections get an answer,
// and SIGTERM ends the process on time. When the log accepts lines again, none is missing.
func TestBlockedLogs(t *testing.T) {
	type block = func() (unblock func())
	slowly := func(p *daemontest.Pipe) block {
		const bytesPerSecond = 200 // a few seconds for a line
		return func() func() { return p.Slow(bytesPerSecond) }
	}
	for name, blocks := range map[string]func(d *daemontest.Daemon) []block{
		"none":   func(*daemontest.Daemon) []block { return nil },
		"stdout": func(d *daemontest.Daemon) []block { return []block{d.Stdout.Block} },
		"stderr": func(d *daemontest.Daemon) []block { return []block{d.Stderr.Block} },
		"both":   func(d *daemontest.Daemon) []block { return []block{d.Stdout.Block, d.Stderr.Block} },
		"slow":   func(d *daemontest.Daemon) []block { return []block{slowly(d.Stdout), slowly(d.Stderr)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := patient(t)
			d := start(t, dir)
			sessions := map[string]*busyWriter{}
			for _, user := range []string{"a", "b", "c", "d", "exp", "exp2", "stays"} {
				sessions[user] = newWriter(t, d, user)
			}
			exp := expire(t, d, dir, "exp", "exp2")
			var unblock []func()
			for _, block := range blocks(d) {
				unblock = append(unblock, block())
			}
			refusedMeanwhile(t, d) // its line has to wait; it used to do so in the accept loop
			revokedMeanwhile(t, d, dir, sessions)
			for _, user := range []string{"exp", "exp2"} {
				sessions[user].endsBy(t, user, exp.Add(soon))
				t.Logf("ENDS %s blocked: %s ended %s after its time", name, user, sessions[user].at.Sub(exp).Round(time.Millisecond))
			}
			for _, f := range unblock {
				f()
			}
			for _, user := range []string{"a", "b", "c", "d", "exp", "exp2"} {
				for _, event := range []string{"session_revoked", "transfer", "logout"} {
					d.Eventually(t, "the log has "+event+" for "+user, func() bool { return has(t, d, event, user) })
				}
			}
			if sessions["stays"].over() {
				t.Error("a session ended for no reason")
			}
			for _, block := range blocks(d) {
				block()
			}
			terminated := time.Now()
			d.Terminate()
			_ = d.Wait(t, 2*time.Second+8*daemontest.Second()) // interrupted transfers are not a failure here
			t.Logf("ENDS %s blocked: SIGTERM with a drain timeout of 2s took %s", name, time.Since(terminated).Round(time.Millisecond))
		})
	}
}

func has(t *testing.T, d *daemontest.Daemon, event, user string) bool {
	t.Helper()
	return slices.ContainsFunc(d.Audit(t, event), func(e map[string]any) bool { return e["user"] == user })
}

// refusedMeanwhile: a refused connection does not wait for a log, and delays no other.
func refusedMeanwhile(t *testing.T, d *daemontest.Daemon) {
	t.Helper()
	spoil(t, d, "127.0.0.8", 15)
	for range 3 {
		_ = welcomes(t, d, "127.0.0.8") // refused because it has a penalty
	}
	begin := time.Now()
	_ = welcomes(t, d, "127.0.0.1")
	if took := time.Since(begin); took > soon {
		t.Errorf("a new connection had no answer for %s", took)
	}
}

// revokedMeanwhile: a to d end, and /configz reports this when they have ended, not before.
func revokedMeanwhile(t *testing.T, d *daemontest.Daemon, dir *configtest.Dir, sessions map[string]*busyWriter) {
	t.Helper()
	removed := []string{"a", "b", "c", "d"}
	for _, user := range removed {
		dir.Remove(user)
	}
	begin := time.Now()
	digest := dir.Write(t)
	d.Eventually(t, "loaded", func() bool { return d.Status(t).Digest == digest })
	loaded := time.Now()
	for _, user := range removed {
		w := sessions[user]
		w.endsBy(t, user, begin.Add(soon))
		if w.over() {
			t.Logf("ENDS %s ended %s after the write, /configz reported it after %s", user, w.at.Sub(begin).Round(time.Millisecond), loaded.Sub(begin).Round(time.Millisecond))
		}
		// The client notices up to 20 ms later, plus the machine's delay.
		if w.at.Sub(loaded) > soon/2 {
			t.Errorf("%s ended %s after /configz reported it", user, w.at.Sub(loaded))
		}
	}
}

// TestBlockedAuditStopsEverything: if the audit log accepts nothing for a few seconds, the daemon reports that, refuses new
// connections at once, and lets sessions wait until the log accepts lines again.
func TestBlockedAuditStopsEverything(t *testing.T) {
	t.Parallel()
	dir := patient(t)
	d := start(t, dir)
	c := d.MustDial(t, "stays", ssh.Password("secret"))
	files, err := sftp.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	f, err := files.Create("/open")
	if err != nil {
		t.Fatal(err)
	}
	unblock := d.Stdout.Block()
	defer unblock()
	refused := make(chan struct{})
	go func() { // its line is what the test waits for
		defer close(refused)
		_ = password(t, d, "127.0.0.1", "a", "wrong")
	}()
	d.Eventually(t, "not ready", func() bool { code, _ := d.Get(t, "/readyz"); return code == http.StatusServiceUnavailable })
	if _, body := d.Get(t, "/readyz"); !strings.Contains(body, "audit log") {
		t.Errorf("/readyz: %s", body)
	}
	if m := metrics(t, d); m["sftpd_audit_blocked_seconds"] < 5 {
		t.Errorf("blocked for %v seconds", m["sftpd_audit_blocked_seconds"])
	}
	d.Eventually(t, "the daemon's log reports it", func() bool { return strings.Contains(d.Log(), "has not accepted a line of the audit log") })
	if welcomes(t, d, "127.0.0.1") {
		t.Error("a new connection is served")
	}
	// One request may be in progress already: its session was waiting for it.
	written := make(chan error, 2)
	go func() {
		for range 2 {
			_, err := f.WriteAt([]byte("x"), 0)
			written <- err
		}
	}()
	time.Sleep(2 * time.Second)
	if len(written) > 1 {
		t.Error("a session continues to write")
	}
	unblock()
	for range 2 {
		if err := <-written; err != nil {
			t.Errorf("the session did not survive: %v", err)
		}
	}
	<-refused
	d.Eventually(t, "ready again", func() bool { code, _ := d.Get(t, "/readyz"); return code == http.StatusOK })
	d.Eventually(t, "the refusals are in the log", func() bool {
		return slices.ContainsFunc(d.Audit(t, "connection_refused"), func(e map[string]any) bool { return e["reason"] == "audit_log_blocked" })
	})
}

// TestFullDisk: if standard output is full, the daemon continues to serve, counts the lost lines and reports them.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	dir := patient(t)
	d := daemontest.StartCommand(t, dir, program, func(cmd *exec.Cmd) { cmd.Stdout = full })
	w := newWriter(t, d, "exp")
	w.endsBy(t, "exp", expire(t, d, dir, "exp").Add(soon))
	d.Eventually(t, "lost lines are counted", func() bool { return metrics(t, d)["sftpd_audit_write_failures_total"] >= 4 })
	if code, _ := d.Get(t, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz %d", code)
	}
	d.Eventually(t, "the daemon's log reports it", func() bool {
		return strings.Contains(d.Log(), "lines of the audit log are lost") && strings.Contains(d.Log(), "no space left on device")
	})
	d.Terminate()
	if err := d.Wait(t, 10*daemontest.Second()); err != nil {
		t.Error(err)
	}
}

// TestClosedStdout: if the audit log has no reader, the daemon ends all sessions, reports why, and fails.
func TestClosedStdout(t *testing.T) {
	t.Parallel()
	d := start(t, patient(t))
	w := newWriter(t, d, "stays")
	d.Stdout.Close()
	_ = password(t, d, "127.0.0.1", "a", "wrong") // a line
	err := d.Wait(t, 10*daemontest.Second())
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	w.endsBy(t, "a session", time.Now().Add(soon))
	// The last line is read from a pipe, which has no end while the test has its other end.
	d.Eventually(t, "the log says why", func() bool { return strings.Contains(d.Log(), "standard output is closed") })
}

// TestClosedStderr: losing its own log does not end the daemon.
func TestClosedStderr(t *testing.T) {
	t.Parallel()
	dir := patient(t)
	d := start(t, dir)
	d.Stderr.Close()
	for range 3 {
		dir.AddUser("more", "secret")
		d.Reload(t, dir) // a line
		dir.Remove("more")
		d.Reload(t, dir)
	}
	d.Eventually(t, "dropped lines are counted", func() bool { return metrics(t, d)["sftpd_log_dropped_lines_total"] > 0 })
	d.MustDial(t, "stays", ssh.Password("secret"))
}
