package interop

import (
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// TestOpenSSHRevokedKey: a revoked key is refused like an unknown one, and another key of the same user logs in.
func TestOpenSSHRevokedKey(t *testing.T) {
	lost, lostPEM := configtest.Key(t)
	kept, keptPEM := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", lost.PublicKey(), kept.PublicKey())
	o := newOpenSSH(t, dir)
	login := func(pem []byte) result {
		return o.run(t, "sftp", "ada", "", "ls\n", append(o.identity(t, pem), "-b", "-"))
	}
	login(lostPEM).ok(t)
	dir.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(lost.PublicKey())}
	o.daemon.Reload(t, dir)
	login(lostPEM).refused(t)
	if got := o.daemon.WaitAudit(t, "login_refused", 1); got["reason"] != "key_revoked" {
		t.Errorf("audit: %v", got)
	}
	login(keptPEM).ok(t)
}
