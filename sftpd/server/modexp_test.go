package server_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
)

// inGroups lists the key exchanges that compete for slots, inCurves those that do not.
var (
	inGroups = []string{
		ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDHGEXSHA256, ssh.KeyExchangeDH14SHA256, ssh.InsecureKeyExchangeDH14SHA1,
	}
	inCurves = []string{
		ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519,
		ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
	}
)

// groups starts a daemon with all key exchanges and a given number of slots for those in finite-field groups.
func groups(t *testing.T, places, graceSeconds int) *daemontest.Daemon {
	t.Helper()
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	end := time.Now().Add(time.Hour)
	dir.Listener.CryptoPolicy, dir.Listener.CryptoPolicyNotAfter = cryptopolicy.Legacy2026, &end
	dir.Listener.AllowFrom = []string{"127.0.0.0/8"}
	dir.Listener.Authentication.LoginGraceSeconds = graceSeconds
	return daemontest.Start(t, dir, server.Modexps(places))
}

func exchanging(algorithm string) ssh.ClientConfig {
	return ssh.ClientConfig{
		Config: ssh.Config{KeyExchanges: []string{algorithm}}, User: "ada", Auth: []ssh.AuthMethod{ssh.Password("secret")},
	}
}

// TestGroupsWait: if no exchange in a finite-field group gets a slot, those on curves do not wait, and those in groups end with
// the login timeout and leave nothing behind.
func TestGroupsWait(t *testing.T) { // not parallel: it counts goroutines
	d := groups(t, 0, 5)
	goroutines, fds := atRest(t, d)
	var waiting sync.WaitGroup
	for _, algorithm := range inGroups {
		waiting.Go(func() {
			if c, err := dialWith(d.Addr, exchanging(algorithm)); err == nil {
				c.Close()
				t.Errorf("%s did not wait", algorithm)
			}
		})
	}
	for _, algorithm := range inCurves {
		c, err := dialWith(d.Addr, exchanging(algorithm))
		if err != nil {
			t.Errorf("%s: %v", algorithm, err)
			continue
		}
		c.Close()
	}
	waiting.Wait()
	if got := d.WaitAudit(t, "connection_refused", 1); got["reason"] != "login_grace_exceeded" {
		t.Errorf("audit: %v", got)
	}
	nothingLeft(t, d, goroutines, fds)
}

// TestGroupsOneByOne: with one slot, all of them log in, even after exchanges that failed while they held it.
func TestGroupsOneByOne(t *testing.T) {
	d := groups(t, 1, 60)
	goroutines, fds := atRest(t, d)
	var all sync.WaitGroup
	for range 3 {
		for _, algorithm := range inGroups {
			all.Go(func() { outOfBounds(t, d.Addr, algorithm) })
			all.Go(func() {
				c, err := dialWith(d.Addr, exchanging(algorithm))
				if err != nil {
					t.Errorf("%s: %v", algorithm, err)
					return
				}
				c.Close()
			})
		}
	}
	all.Wait()
	nothingLeft(t, d, goroutines, fds)
}

// outOfBounds sends a public value that is not in the group, so that the exchange fails between its two computations.
func outOfBounds(t *testing.T, addr, algorithm string) {
	p, err := daemontest.NewPeer(addr, "")
	if err != nil {
		t.Error(err)
		return
	}
	defer p.Close()
	if err := errors.Join(p.Versions(), p.SendKexInit(algorithm)); err != nil {
		t.Error(err)
		return
	}
	if _, err := p.ReadPacket(); err != nil { // the server's KEXINIT
		t.Error(err)
		return
	}
	const gexRequest, gexInit = 34, 32 // RFC 4419 section 5
	message := byte(daemontest.MsgKexInitOfGroup)
	if algorithm == ssh.KeyExchangeDHGEXSHA256 {
		message = gexInit
		bits := slices.Concat([]byte{gexRequest}, daemontest.Uint32(2048), daemontest.Uint32(4096), daemontest.Uint32(8192))
		if err := p.WritePacket(bits); err != nil {
			t.Error(err)
			return
		}
		if _, err := p.ReadPacket(); err != nil { // the group
			t.Error(err)
			return
		}
	}
	if err := errors.Join(p.WritePacket(daemontest.AppendString([]byte{message}, "\x01")), p.Ended(30*time.Second)); err != nil {
		t.Errorf("%s: %v", algorithm, err)
	}
}
