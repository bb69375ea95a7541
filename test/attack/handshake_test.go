package attack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// many repeats a message until the daemon closes the connection.
func many(p *daemontest.Peer, m []byte) error {
	const much = 100_000
	sent := 0
	for sent < much && p.WritePacket(m) == nil {
		sent++
	}
	if sent == much {
		return fmt.Errorf("%d messages were accepted", sent)
	}
	return nil
}

const msgIgnore = 2 // RFC 4253 section 11.2

// channelOpen is a SSH_MSG_CHANNEL_OPEN of RFC 4254 section 5.1, with a window of 32 KiB.
var channelOpen = append(daemontest.AppendString([]byte{90}, "session"), 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0)

// raw sends bytes that are not packets; the daemon may stop reading them.
func raw(p *daemontest.Peer, b []byte) error {
	_, _ = p.Write(b)
	return nil
}

// TestHostileHandshakes: each attack ends soon, with its reason in the metrics; its source is refused after a few, and others
// can log in.
func TestHostileHandshakes(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	dir := endpoint(t)
	dir.AddUser("ada", "", key.PublicKey())
	const grace = 5 // enough time for anything that is not slow on purpose
	dir.Listener.Authentication.LoginGraceSeconds = grace
	u := user{start(t, dir), key}
	if err := u.login(); err != nil {
		t.Fatal(err)
	}
	before := metrics(t, u.Daemon)["go_goroutines"]
	exchange := (*daemontest.Peer).Exchange
	kexInit := bytes.Repeat([]byte{daemontest.MsgKexInit}, 800)
	for i, tc := range []struct {
		name   string
		do     func(p *daemontest.Peer) error
		reason string
	}{
		{"TLS", func(p *daemontest.Peer) error { return raw(p, append(garbage, make([]byte, 300)...)) }, "protocol_error"},
		{"HTTP", func(p *daemontest.Peer) error { return raw(p, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) }, "login_grace_exceeded"},
		{"version of 255 bytes", func(p *daemontest.Peer) error { return raw(p, []byte("SSH-2.0-"+strings.Repeat("x", 300)+"\r\n")) }, "protocol_error"},
		{"version without an end", func(p *daemontest.Peer) error { return raw(p, []byte(strings.Repeat("x", 1<<20))) }, "protocol_error"},
		{"lines without an end", func(p *daemontest.Peer) error { return raw(p, []byte(strings.Repeat("banner\r\n", 1<<17))) }, "protocol_error"},
		{"long lines without an end", func(p *daemontest.Peer) error {
			return raw(p, []byte(strings.Repeat(strings.Repeat("x", 250)+"\r\n", 1<<12)))
		}, "too_much_before_login"},
		{"SSH 1", func(p *daemontest.Peer) error { return raw(p, []byte("SSH-1.5-old\r\n"+strings.Repeat("\x00", 100))) }, "protocol_error"},
		{"version byte by byte", func(p *daemontest.Peer) error { return slowly(p, []byte("SSH-2.0-"+strings.Repeat("slow", 60))) }, "login_grace_exceeded"},
		{"packet byte by byte", func(p *daemontest.Peer) error {
			return errors.Join(p.Versions(), slowly(p, append([]byte{0, 0, 0x10, 0, 4}, kexInit...)))
		}, "login_grace_exceeded"},
		{"packet byte by byte, with keys", func(p *daemontest.Peer) error {
			return errors.Join(exchange(p), slowly(p, append([]byte{0, 0, 0x10, 0}, kexInit...)))
		}, "login_grace_exceeded"},
		{"largest packet", func(p *daemontest.Peer) error { return errors.Join(p.Versions(), announce(p, 250)) }, "too_much_before_login"},
		{"largest packet, with keys", func(p *daemontest.Peer) error { return errors.Join(exchange(p), announce(p, 250)) }, "too_much_before_login"},
		{"impossible length", func(p *daemontest.Peer) error {
			return errors.Join(p.Versions(), raw(p, bytes.Repeat([]byte{0xff}, 100)))
		}, "protocol_error"},
		{"impossible length, with keys", func(p *daemontest.Peer) error {
			return errors.Join(exchange(p), raw(p, bytes.Repeat([]byte{0xff}, 100)))
		}, "login_abandoned"},
		{"KEXINIT of garbage", func(p *daemontest.Peer) error { return errors.Join(p.Versions(), p.WritePacket(kexInit)) }, "protocol_error"},
		{"KEXINIT flood", func(p *daemontest.Peer) error {
			return errors.Join(p.Versions(), p.SendKexInit("curve25519-sha256"), many(p, kexInit))
		}, "protocol_error"},
		{"no common algorithm", func(p *daemontest.Peer) error {
			return errors.Join(p.Versions(), p.SendKexInit("diffie-hellman-group1-sha1"))
		}, "no_common_algorithm"},
		{"messages to ignore", func(p *daemontest.Peer) error {
			return errors.Join(exchange(p), many(p, append([]byte{msgIgnore}, make([]byte, 1000)...)))
		}, "too_much_before_login"},
		{"channel before a login", func(p *daemontest.Peer) error {
			return errors.Join(exchange(p), p.WritePacket(channelOpen))
		}, "login_abandoned"},
		{"keys without an end", func(p *daemontest.Peer) error {
			return errors.Join(exchange(p), many(p, keyRequest(t, p, "ada", "ssh-ed25519", key.PublicKey(), nil)))
		}, "login_abandoned"},
		{"none without an end", func(p *daemontest.Peer) error {
			return errors.Join(exchange(p), many(p, daemontest.Userauth("ada", "none")))
		}, "login_abandoned"},
		{"a long name", func(p *daemontest.Peer) error {
			return errors.Join(exchange(p), many(p, daemontest.UserauthPassword(strings.Repeat("x", 9000), "x")))
		}, "unknown_user"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			from := "127.0.1." + string(rune('1'+i%9)) + string(rune('0'+i/9))
			reason := `sftpd_refusals_total{reason="` + tc.reason + `"}`
			before := metrics(t, u.Daemon)[reason]
			p, err := daemontest.NewPeer(u.Addr, from)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if err := tc.do(p); err != nil {
				t.Error(err)
			}
			if err := p.Ended(grace*time.Second + 20*time.Second); err != nil {
				t.Error(err)
			}
			u.Eventually(t, "the refusal "+tc.reason+" is counted", func() bool { return metrics(t, u.Daemon)[reason] > before })
			if err := u.login(); err != nil {
				t.Errorf("another user: %v", err)
			}
			again := func() error { // a few more of the same kind in a row
				p, err := daemontest.NewPeer(u.Addr, from)
				if err != nil {
					return err
				}
				defer p.Close()
				if tc.reason == "login_grace_exceeded" {
					return nil
				}
				if err := tc.do(p); err != nil {
					return err
				}
				return p.Ended(20 * time.Second)
			}
			for range 60 {
				if again() != nil {
					break
				}
			}
		})
	}
	if n := metrics(t, u.Daemon)[`sftpd_refusals_total{reason="source_penalized"}`]; n < 10 {
		t.Errorf("%v connections were refused for what their sources did", n)
	}
	u.Eventually(t, "nothing is left", func() bool {
		m := metrics(t, u.Daemon)
		return m["sftpd_connections"] == 0 && m["go_goroutines"] <= before+5
	})
	if strings.Contains(u.Log(), "panic") {
		t.Error("a panic")
	}
}

// slowly sends a byte now and then until the daemon closes the connection.
func slowly(p *daemontest.Peer, b []byte) error {
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, p)
		close(closed)
	}()
	for i := range b {
		select {
		case <-closed:
			return nil
		case <-time.After(50 * time.Millisecond):
			_ = raw(p, b[i:i+1])
		}
	}
	return errors.New("all of it was accepted")
}

// TestProbes: a connection without any data costs one metric, and no line in any log.
func TestProbes(t *testing.T) {
	t.Parallel()
	dir := endpoint(t)
	// So that no connection is refused because the end of others has not been noticed yet.
	dir.Listener.Startups = config.Startups{Begin: 400, Full: 400}
	d := start(t, dir)
	d.Eventually(t, "the start is in the log", func() bool { return strings.Contains(d.Log(), "configuration loaded") })
	audit, log := d.RawAudit(), d.Log()
	for i := range 300 {
		c, err := daemontest.DialFrom(d.Addr, "127.0.0.2")
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // some checkers read what the server says
			_, _ = io.ReadFull(c, make([]byte, 4))
		}
		c.Close()
	}
	d.Eventually(t, "all are counted", func() bool { return metrics(t, d)["sftpd_tcp_probes_total"] == 300 })
	if d.RawAudit() != audit || d.Log() != log {
		t.Error("there are lines in the logs")
	}
	if m := metrics(t, d); len(refusals(m)) != 0 || m["sftpd_penalized_sources"] != 0 {
		t.Errorf("refused %v", refusals(m))
	}
}
