package server_test

import (
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestKeyTimes: a key logs in from its notBefore to its notAfter, and its sessions end with
// it, all without a reload: nobody has to be there to change the configuration. The user's
// other key, and its session, are not affected.
func TestKeyTimes(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	other, _ := configtest.Key(t)
	dir := configtest.New(t)
	begin := time.Now().Add(5 * time.Second)
	end := begin.Add(4 * time.Second)
	u := dir.AddUser("ada", "", key.PublicKey(), other.PublicKey())
	u.Keys[0].NotBefore, u.Keys[0].NotAfter = &begin, &end
	d := daemontest.Start(t, dir)
	bystander := d.MustDial(t, "ada", ssh.PublicKeys(other))

	if _, err := d.Dial("ada", ssh.PublicKeys(key)); err == nil {
		t.Error("logged in before notBefore")
	}
	if got := d.WaitAudit(t, "login_refused", 1); got["reason"] != "key_not_yet_valid" {
		t.Errorf("audit: %v", got)
	}
	time.Sleep(time.Until(begin))
	c := d.MustDial(t, "ada", ssh.PublicKeys(key))
	daemontest.StillWorks(t, c)
	_ = c.Wait()
	if now := time.Now(); now.Before(end) {
		t.Errorf("closed %s before the end", end.Sub(now))
	}
	if got := d.WaitAudit(t, "session_revoked", 1); got["reason"] != "key_expired" {
		t.Errorf("audit: %v", got)
	}
	if _, err := d.Dial("ada", ssh.PublicKeys(key)); err == nil {
		t.Error("logged in after notAfter")
	}
	if got := d.WaitAudit(t, "login_refused", 2); got["reason"] != "key_expired" {
		t.Errorf("audit: %v", got)
	}
	daemontest.StillWorks(t, bystander)
}
