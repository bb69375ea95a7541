package server_test

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

func TestMaxTries(t *testing.T) {
	t.Parallel()
	d, _ := start(t, func(dir *configtest.Dir) { dir.Listener.Authentication.MaxTries = 2 })
	tries := 0
	wrong := ssh.RetryableAuthMethod(ssh.PasswordCallback(func() (string, error) {
		tries++
		return "wrong", nil
	}), 10)
	if _, err := d.Dial("ada", wrong); err == nil || !strings.Contains(err.Error(), "too many authentication failures") {
		t.Errorf("want too many failures, have %v", err)
	}
	if tries != 2 {
		t.Errorf("%d tries", tries)
	}
	if got := d.WaitAudit(t, "login_refused", 3); got["reason"] != "max_tries" {
		t.Errorf("audit: %v", got)
	}
	// After one failure, one try is left.
	once := true
	second := ssh.RetryableAuthMethod(ssh.PasswordCallback(func() (string, error) {
		if once {
			once = false
			return "wrong", nil
		}
		return "secret", nil
	}), 2)
	daemontest.StillWorks(t, d.MustDial(t, "ada", second))
}

// TestOfferedKeys: an agent with many keys does not lock its user out. As many offers as there are tries are free, and those
// after them count.
func TestOfferedKeys(t *testing.T) {
	t.Parallel()
	own, _ := configtest.Key(t)
	d, _ := start(t, func(dir *configtest.Dir) {
		dir.Listener.Authentication.MaxTries = 2
		dir.User(t, "ada").Keys = []config.Key{{PublicKey: configtest.Line(own.PublicKey())}}
	})
	var strangers []ssh.Signer
	for range 4 {
		k, _ := configtest.Key(t)
		strangers = append(strangers, k)
	}
	for _, tc := range []struct {
		name   string
		keys   []ssh.Signer
		reason any // of the refusal, nil if the client logs in
	}{
		{"free offers, and a good key", slices.Concat(strangers[:2], []ssh.Signer{own}), nil},
		{"free offers only", strangers[:2], "key_not_registered"},
		{"one try, and a good key", slices.Concat(strangers[:3], []ssh.Signer{own}), nil},
		{"all tries", slices.Concat(strangers, []ssh.Signer{own}), "max_tries"},
	} {
		before := len(d.Audit(t, "login_refused"))
		conn, err := d.Dial("ada", ssh.PublicKeys(tc.keys...))
		if (err == nil) != (tc.reason == nil) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err == nil {
			conn.Close()
			continue
		}
		if got := d.WaitAudit(t, "login_refused", before+1); got["reason"] != tc.reason {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestLoginGrace(t *testing.T) {
	t.Parallel()
	const grace = 5 // enough time for a login on a busy machine
	d, _ := start(t, func(dir *configtest.Dir) { dir.Listener.Authentication.LoginGraceSeconds = 1 })
	for name, say := range map[string]string{"silent": "", "version only": "SSH-2.0-test\r\n", "garbage": "GET / HTTP/1.0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			c := daemontest.Connect(t, d.Addr)
			_, _ = c.Write([]byte(say)) // it may be closed already, on a slow machine
			_ = c.SetReadDeadline(begin.Add(time.Minute))
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("still open after a minute")
			}
			if took := time.Since(begin); took < 900*time.Millisecond {
				t.Errorf("closed after %s", took)
			}
		})
	}
	t.Run("in the middle of a login", func(t *testing.T) {
		t.Parallel()
		d, _ := start(t, func(dir *configtest.Dir) { dir.Listener.Authentication.LoginGraceSeconds = grace })
		begin := time.Now()
		slow := ssh.KeyboardInteractive(func(_, _ string, _ []string, _ []bool) ([]string, error) {
			time.Sleep(time.Until(begin.Add((grace + 1) * time.Second)))
			return []string{"secret"}, nil
		})
		if _, err := d.Dial("ada", slow); err == nil {
			t.Errorf("logged in after %s", time.Since(begin))
		}
		if got := d.WaitAudit(t, "login_refused", 1); got["reason"] != "login_grace_exceeded" || got["user"] != "ada" {
			t.Errorf("audit: %v", got)
		}
	})
	t.Run("session outlives it", func(t *testing.T) {
		t.Parallel()
		dir := configtest.New(t)
		dir.AddUser("ada", "secret")
		dir.Listener.Authentication.LoginGraceSeconds = grace
		c := daemontest.Start(t, dir).MustDial(t, "ada", ssh.Password("secret"))
		time.Sleep((grace + 1) * time.Second)
		daemontest.StillWorks(t, c)
	})
}

func second[T any](_ T, err error) error { return err }

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	dir := configtest.New(t)
	dir.AddUser("ada", "secret").MaxConnections = 2
	dir.AddUser("bob", "secret")
	dir.AddUser("eve", "secret").MaxConnections = 50
	dir.AddUser("fay", "secret")
	dir.Listener.Limits.MaxConnectionsPerUser = 3
	dir.Listener.Limits.MaxConnections = 9
	d := daemontest.Start(t, dir)
	fill := func(user string, n int) (last *ssh.Client) {
		for range n {
			last = d.MustDial(t, user, ssh.Password("secret"))
			daemontest.StillWorks(t, last)
		}
		return last
	}
	full := func(user string, lines int, sessions float64) {
		t.Helper()
		// The refusal comes after the login, so a client without the password learns nothing about limits.
		c := d.MustDial(t, user, ssh.Password("secret"))
		refused, _ := errors.AsType[*ssh.OpenChannelError](second(c.NewSession()))
		if refused == nil || refused.Reason != ssh.ResourceShortage || !strings.Contains(refused.Message, "already has the maximum number of connections") {
			t.Errorf("%s hears %v", user, refused)
		}
		if err := c.Wait(); err == nil { // does not end if it stays
			t.Errorf("%s left on its own", user)
		}
		if got := d.WaitAudit(t, "login_refused", lines); got["reason"] != "max_connections_per_user" || got["user"] != user {
			t.Errorf("audit: %v", got)
		}
		connected(t, d, sessions) // with 9 places, the next one may need it
	}
	last := fill("ada", 2)
	full("ada", 1, 2)
	fill("bob", 3)
	full("bob", 2, 5)
	fill("eve", 3)
	full("eve", 3, 8)

	last.Close()
	connected(t, d, 7)
	fill("ada", 1)

	fill("fay", 1) // the ninth connection, which displaces no other
	if c, err := d.Dial("bob", ssh.Password("secret")); err == nil {
		c.Close()
		t.Error("ten connections")
	}
	if got := d.WaitAudit(t, "connection_refused", 1); got["reason"] != "max_connections" {
		t.Errorf("audit: %v", got)
	}
}

// TestSilentCrowd: silent connections take all places, yet users can still log in.
func TestSilentCrowd(t *testing.T) {
	t.Parallel()
	d, _ := start(t, func(dir *configtest.Dir) { dir.Listener.Limits.MaxConnections = 5 })
	first := d.MustDial(t, "ada", ssh.Password("secret"))
	daemontest.StillWorks(t, first)
	for range 10 {
		daemontest.Connect(t, d.Addr)
	}
	// Where the last ones arrive a second after the first, the first must make room for them.
	displaced := func() float64 { return d.Metric(t, `sftpd_refusals_total{reason="displaced"}`) }
	gone := func() float64 { return displaced() + d.Metric(t, `sftpd_refusals_total{reason="max_connections"}`) }
	d.Eventually(t, "six of ten are gone", func() bool { return gone() == 6 })
	before := displaced()
	time.Sleep(1200 * time.Millisecond)
	for range 3 {
		daemontest.StillWorks(t, d.MustDial(t, "ada", ssh.Password("secret")))
	}
	daemontest.StillWorks(t, first)
	d.Eventually(t, "three are displaced", func() bool { return displaced() == before+3 && gone() == 9 })
	d.Eventually(t, "the audit log has it", func() bool {
		return slices.ContainsFunc(d.Audit(t, "connection_refused"), func(e map[string]any) bool { return e["reason"] == "displaced" })
	})
	// Sessions are never displaced.
	daemontest.StillWorks(t, d.MustDial(t, "ada", ssh.Password("secret")))
	if c, err := d.Dial("ada", ssh.Password("secret")); err == nil {
		c.Close()
		t.Error("a sixth session")
	}
	daemontest.StillWorks(t, first)
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	const idle = 5 // seconds: on a busy machine, a login and a request may be seconds apart
	d, _ := start(t, func(dir *configtest.Dir) { dir.Listener.Limits.IdleTimeoutSeconds = idle })
	files := daemontest.StartSFTP(t, d.MustDial(t, "ada", ssh.Password("secret")))
	stop, busy := make(chan struct{}), make(chan error, 1)
	var longest time.Duration
	go func() {
		var err error
		longest, err = keepUsing(files, stop)
		busy <- err
	}()
	kinds := map[string]func(*ssh.Client){
		"no channel":    func(*ssh.Client) {},
		"silent":        func(c *ssh.Client) { daemontest.StartSFTP(t, c) },
		"only asks":     keepAsking,
		"never reads":   func(c *ssh.Client) { daemontest.OpenChannel(t, c) },
		"channel flood": func(c *ssh.Client) { daemontest.OpenChannel(t, c); daemontest.OpenChannel(t, c) },
	}
	var ends sync.WaitGroup
	for name, prepare := range kinds {
		used := time.Now() // or later
		c := d.MustDial(t, "ada", ssh.Password("secret"))
		prepare(c)
		ends.Go(func() {
			_ = c.Wait()
			if took := time.Since(used); took < idle*time.Second {
				t.Errorf("%s: closed after %s", name, took)
			}
		})
	}
	got := d.WaitAudit(t, "logout", len(kinds))
	if got["reason"] != "idle_timeout" {
		t.Errorf("audit: %v", got)
	}
	ends.Wait()
	close(stop)
	if err := <-busy; err != nil && longest < idle*time.Second/2 {
		t.Errorf("a busy session was closed: %v", err)
	}
}

// keepUsing sends a request now and then until it fails or is told to stop. It returns the longest time between two requests.
func keepUsing(files *sftp.Client, stop <-chan struct{}) (longest time.Duration, err error) {
	for last := time.Now(); ; last = time.Now() {
		select {
		case <-stop:
			return longest, nil
		case <-time.After(100 * time.Millisecond):
			longest = max(longest, time.Since(last))
			if _, err := files.Stat("/"); err != nil {
				return longest, err
			}
		}
	}
}

// keepAsking sends keepalives, which are answered but do not count as activity.
func keepAsking(c *ssh.Client) {
	go func() {
		for {
			if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
}
