package server_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
)

// TestUnusedChannel: a channel without a subsystem is closed.
func TestUnusedChannel(t *testing.T) {
	t.Parallel()
	d, _ := tempered(t, server.UnusedTimeout(5*time.Second)) // enough time to start a subsystem on a busy machine
	c := d.MustDial(t, "ada", ssh.Password("secret"))
	files := daemontest.StartSFTP(t, c)
	ch := daemontest.OpenChannel(t, c)
	if _, err := ch.Read(make([]byte, 1)); err == nil {
		t.Error("data on a channel without a subsystem")
	}
	if _, err := files.Stat("/"); err != nil {
		t.Errorf("the channel with one: %v", err)
	}
	if _, m := d.Get(t, "/metrics"); !strings.Contains(m, `sftpd_refusals_total{reason="unused_channel"} 1`) {
		t.Error("no metric")
	}
}

// TestChannelChurn: thousands of channels, opened and closed one after another, leave nothing behind.
func TestChannelChurn(t *testing.T) {
	d, _ := tempered(t)
	goroutines, fds := atRest(t, d)
	c := d.MustDial(t, "eve", ssh.Password("secret"))
	daemontest.StillWorks(t, c)
	before := liveHeap()
	opened, refused := 0, 0
	for opened < 10_000 {
		ch, requests, err := c.OpenChannel("session", nil)
		if err != nil { // the ends of others are not noticed at once
			if refused++; refused > 1_000_000 {
				t.Fatal(err)
			}
			continue
		}
		go ssh.DiscardRequests(requests)
		if opened%20 == 0 {
			if ok, err := ch.SendRequest("subsystem", true, daemontest.Text("sftp")); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		opened++
		_ = ch.Close()
	}
	for range 5_000 {
		if reason, err := openChannel(c, "direct-tcpip"); reason != ssh.UnknownChannelType {
			t.Fatal(err)
		}
	}
	d.Eventually(t, "channels have ended", func() bool { return runtime.NumGoroutine() < goroutines+30 })
	grown := liveHeap() - before
	fmt.Printf("MEMORY 10,000 channels opened and closed, 5,000 refused: %+.2f MiB live heap\n", float64(grown)/(1<<20))
	if grown > 4<<20 {
		t.Errorf("%d bytes more", grown)
	}
	daemontest.StillWorks(t, c)
	c.Close()
	nothingLeft(t, d, goroutines, fds)
}

// TestRequestsBesideFiles: requests of every kind, before and after the subsystem starts, with and without a reply, do not
// affect file transfers.
func TestRequestsBesideFiles(t *testing.T) {
	d, _ := tempered(t)
	goroutines, fds := atRest(t, d)
	c := d.MustDial(t, "ada", ssh.Password("secret"))
	names := []string{
		"shell", "exec", "env", "pty-req", "x11-req", "auth-agent-req@openssh.com", "window-change", "signal", "break",
		"xon-xoff", "exit-status", "exit-signal", "eow@openssh.com", "subsystem", "", strings.Repeat("x", 20_000),
	}
	payloads := [][]byte{nil, daemontest.Text("sftp"), daemontest.Text("netconf"), {0xff, 0xff, 0xff, 0xff}, make([]byte, 20_000)}
	flood := func(ch ssh.Channel, answered bool, skip string) {
		for _, name := range names {
			for _, p := range payloads {
				if name == skip && string(p) == string(daemontest.Text("sftp")) {
					continue
				}
				for range 5 {
					if ok, err := ch.SendRequest(name, answered, p); ok || err != nil {
						t.Fatalf("%.40q: %v, %v", name, ok, err)
					}
				}
			}
		}
	}
	ch := daemontest.OpenChannel(t, c)
	flood(ch, true, "subsystem")
	flood(ch, false, "subsystem")
	if ok, err := ch.SendRequest("subsystem", true, daemontest.Text("sftp")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	flood(ch, true, "")
	flood(ch, false, "")
	write(t, ch, daemontest.Packet(1, daemontest.Uint32(3)))
	if got := daemontest.ReadPacket(t, ch); got[0] != 2 {
		t.Errorf("INIT is answered with %x", got)
	}
	for _, name := range []string{
		"tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com", "cancel-streamlocal-forward@openssh.com",
		"keepalive@openssh.com", "hostkeys-prove-00@openssh.com", "no-more-sessions@openssh.com", "",
	} {
		for _, p := range payloads {
			if ok, _, err := c.SendRequest(name, true, p); ok || err != nil {
				t.Errorf("%s: %v, %v", name, ok, err)
			}
			if _, _, err := c.SendRequest(name, false, p); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	daemontest.StillWorks(t, c)
	c.Close()
	nothingLeft(t, d, goroutines, fds)
}
