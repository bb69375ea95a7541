package attack

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// exchangeOnly exchanges keys and does not request a service.
func exchangeOnly(p *daemontest.Peer) error { return errors.Join(p.Versions(), p.ExchangeKeys()) }

// TestPacketsAhead: connections that send many packets at once and fail on the first leave nothing behind. With plain x/crypto,
// two goroutines of each would wait forever.
func TestPacketsAhead(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	dir := endpoint(t)
	dir.Listener.Sources.Penalties = false
	dir.AddUser("ada", "", key.PublicKey())
	dir.AddUser("full", "secret").MaxConnections = 1
	u := user{start(t, dir), key}
	if err := u.login(); err != nil {
		t.Fatal(err)
	}
	u.MustDial(t, "full", ssh.Password("secret"))
	d := u.Daemon
	d.Eventually(t, "full is logged in", func() bool { return metrics(t, d)["sftpd_sessions"] == 1 })
	goroutines := metrics(t, u.Daemon)["go_goroutines"]
	small := []byte{200} // any message with that number is unknown
	for name, first := range map[string]func(p *daemontest.Peer) ([]byte, error){
		"before the service": func(p *daemontest.Peer) ([]byte, error) { return small, exchangeOnly(p) },
		"another service": func(p *daemontest.Peer) ([]byte, error) {
			return daemontest.AppendString([]byte{daemontest.MsgServiceRequest}, "ssh-connection"), exchangeOnly(p)
		},
		"after the service": func(p *daemontest.Peer) ([]byte, error) { return small, p.Exchange() },
		"a bad signature": func(p *daemontest.Peer) ([]byte, error) {
			err := p.Exchange()
			other, _ := configtest.Key(t)
			return keyRequest(t, p, "ada", "ssh-ed25519", key.PublicKey(), other), err
		},
		"a password's time": func(p *daemontest.Peer) ([]byte, error) {
			return append(daemontest.UserauthPassword("ada", "x"), 0), p.Exchange()
		},
		// Each message opens a channel: the login is right, and there is no room for it.
		"no room": func(p *daemontest.Peer) ([]byte, error) {
			return daemontest.UserauthPassword("full", "secret"), p.Exchange()
		},
	} {
		t.Run(name, func(t *testing.T) {
			ahead := small
			if name == "no room" {
				ahead = channelOpen
			}
			for range 30 {
				p, err := daemontest.NewPeer(u.Addr, "127.0.0.2")
				if err != nil {
					t.Fatal(err)
				}
				m, err := first(p)
				if err != nil {
					t.Fatal(err)
				}
				// All in one write, so that the daemon has them before it handles the first.
				p.Hold()
				for range 60 {
					err = errors.Join(err, p.WritePacket(m))
					m = ahead
				}
				if err = errors.Join(err, p.Release()); err != nil {
					t.Fatal(err)
				}
				_ = p.Ended(p.Wait) // or it may be reset
				p.Close()
			}
			u.Eventually(t, "nothing is left", func() bool {
				m := metrics(t, u.Daemon)
				return m["sftpd_connections"] == 1 && m["go_goroutines"] <= goroutines+5
			})
		})
	}
	if err := u.login(); err != nil {
		t.Error(err)
	}
	fmt.Printf("MEMORY goroutines: %.0f before and %.0f after 180 connections that sent 60 packets at once\n",
		goroutines, metrics(t, u.Daemon)["go_goroutines"])
}
