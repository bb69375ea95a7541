package server_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// openChannel returns the reason why a channel was refused, 0 for another failure.
func openChannel(c *ssh.Client, kind string) (ssh.RejectionReason, error) {
	_, _, err := c.OpenChannel(kind, nil)
	if refused, ok := errors.AsType[*ssh.OpenChannelError](err); ok {
		return refused.Reason, err
	}
	return 0, err
}

func TestOnlySFTP(t *testing.T) {
	t.Parallel()
	d, _ := start(t, nil)
	c := d.MustDial(t, "ada", ssh.Password("secret"))

	for _, tc := range []struct {
		name    string
		payload []byte
	}{
		{"shell", nil},
		{"exec", daemontest.Text("id")},
		{"env", append(daemontest.Text("A"), daemontest.Text("b")...)},
		{"pty-req", append(daemontest.Text("xterm"), make([]byte, 20)...)},
		{"x11-req", make([]byte, 14)},
		{"auth-agent-req@openssh.com", nil},
		{"window-change", make([]byte, 16)},
		{"signal", daemontest.Text("TERM")},
		{"eow@openssh.com", nil},
		{"subsystem", nil},
		{"subsystem", daemontest.Text("shell")},
		{"subsystem", daemontest.Text("SFTP")},
		{"subsystem", daemontest.Text("sftp\x00")},
		{"subsystem", append(daemontest.Text("sftp"), 0)},
		{"subsystem", []byte{0, 0, 0, 5, 's', 'f', 't', 'p'}},
		{"subsystem", []byte{0xff, 0xff, 0xff, 0xff, 's'}},
		{"subsystem", []byte{0, 0, 0}},
	} {
		ch := daemontest.OpenChannel(t, c)
		if ok, err := ch.SendRequest(tc.name, true, tc.payload); ok || err != nil {
			t.Errorf("%s %q: %v, %v", tc.name, tc.payload, ok, err)
		}
		ch.Close()
	}

	t.Run("one subsystem a channel", func(t *testing.T) {
		ch := daemontest.OpenChannel(t, c)
		for i, want := range []bool{true, false, false} {
			if ok, err := ch.SendRequest("subsystem", true, daemontest.Text("sftp")); ok != want || err != nil {
				t.Errorf("request %d: %v, %v", i, ok, err)
			}
		}
		ch.Close()
	})
	for _, kind := range []string{
		"direct-tcpip", "direct-streamlocal@openssh.com", "x11", "forwarded-tcpip", "tun@openssh.com", "auth-agent@openssh.com", "",
	} {
		if reason, err := openChannel(c, kind); reason != ssh.UnknownChannelType {
			t.Errorf("channel %q: %v", kind, err)
		}
	}
	for _, kind := range []string{
		"tcpip-forward", "streamlocal-forward@openssh.com", "no-more-sessions@openssh.com", "keepalive@openssh.com",
	} {
		if ok, _, err := c.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("request %s: %v, %v", kind, ok, err)
		}
	}
	daemontest.StillWorks(t, c)
}

func TestTenChannels(t *testing.T) {
	t.Parallel()
	d, _ := start(t, nil)
	c := d.MustDial(t, "ada", ssh.Password("secret"))
	var open []ssh.Channel
	for range 10 {
		open = append(open, daemontest.OpenChannel(t, c))
	}
	if reason, err := openChannel(c, "session"); reason != ssh.ResourceShortage {
		t.Errorf("the eleventh channel: %v", err)
	}
	open[0].Close()
	d.Eventually(t, "there is room again", func() bool {
		ch, _, err := c.OpenChannel("session", nil)
		if err == nil {
			ch.Close()
		}
		return err == nil
	})
}

// TestExitStatus: the subsystem's exit status is sent before the channel is closed.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	d, _ := start(t, nil)
	c := d.MustDial(t, "ada", ssh.Password("secret"))
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := ch.SendRequest("subsystem", true, daemontest.Text("sftp")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := ch.Stderr().Write(make([]byte, 1<<20)); err != nil {
		t.Errorf("standard error is not taken: %v", err)
	}
	if err := ch.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := range requests { // ends with the channel
		names = append(names, r.Type)
		if r.Type == "exit-status" && string(r.Payload) != "\x00\x00\x00\x00" {
			t.Errorf("exit status %x", r.Payload)
		}
	}
	if !slices.Contains(names, "exit-status") {
		t.Errorf("requests: %q", names)
	}
	daemontest.StillWorks(t, c)
}

// TestProbe: a load balancer's TCP check increments one counter and is not logged.
func TestProbe(t *testing.T) {
	t.Parallel()
	d, _ := start(t, nil)
	d.Eventually(t, "the start is in the log", func() bool { return strings.Contains(d.Log(), "configuration loaded") })
	log := d.Log()
	for range 3 {
		c := daemontest.Connect(t, d.Addr)
		c.Close()
	}
	d.Eventually(t, "three probes are counted", func() bool {
		_, metrics := d.Get(t, "/metrics")
		return strings.Contains(metrics, "sftpd_tcp_probes_total 3\n") && strings.Contains(metrics, "sftpd_connections 0\n")
	})
	if d.RawAudit() != "" || d.Log() != log {
		t.Errorf("probes are in the logs: %s%s", d.RawAudit(), d.Log())
	}
}
