package server_test

import (
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestKeyTimes: a key logs in from its notBefore to its notAfter, and its sessions end at notAfter, all without a reload, so no
// operator needs to run. The user's other key and its session are not affected.
func TestKeyTimes(t *testing.T) {
	t.Parallel()
	inTime(t, 2*time.Second, func(soon time.Duration) bool { return keyTimes(t, soon) })
}

// keyTimes reports whether its logins were on time, before the key's validity period and within it.
func keyTimes(t *testing.T, soon time.Duration) (ok bool) {
	t.Helper()
	key, _ := configtest.Key(t)
	other, _ := configtest.Key(t)
	dir := configtest.New(t)
	begin := time.Now().Add(soon)
	end := begin.Add(soon)
	u := dir.AddUser("ada", "", key.PublicKey(), other.PublicKey())
	u.Keys[0].NotBefore, u.Keys[0].NotAfter = &begin, &end
	d := daemontest.Start(t, dir)
	bystander := d.MustDial(t, "ada", ssh.PublicKeys(other))

	_, err := d.Dial("ada", ssh.PublicKeys(key))
	if !time.Now().Before(begin) {
		return false
	}
	if err == nil {
		t.Error("logged in before notBefore")
	}
	if got := d.WaitAudit(t, "login_refused", 1); got["reason"] != "key_not_yet_valid" {
		t.Errorf("audit: %v", got)
	}
	time.Sleep(time.Until(begin))
	c, err := use(d, "ada", ssh.PublicKeys(key))
	if !time.Now().Before(end) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
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
	return true
}
