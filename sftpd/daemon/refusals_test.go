package daemon_test

import (
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestRefusals: the operator learns which users' logins were refused, why and how often, of suspended users as well; and nothing
// of login names that do not exist.
func TestRefusals(t *testing.T) {
	key, _ := configtest.Key(t)
	stranger, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "right", key.PublicKey())
	dir.AddUser("bob", "", key.PublicKey())
	dir.Listener.RefusedUsers = []config.RefusedUser{{Username: "sue", UID: "uid-sue", Reason: config.RefusedSuspended}}
	d := daemontest.Start(t, dir)
	refuse := func(user string, with ssh.AuthMethod) {
		t.Helper()
		if c, err := d.Dial(user, with); err == nil {
			c.Close()
			t.Fatalf("%s logged in", user)
		}
	}
	refuse("ada", ssh.PublicKeys(stranger))
	refuse("ada", ssh.Password("wrong"))
	refuse("sue", ssh.PublicKeys(key))
	refuse("nobody", ssh.Password("wrong"))
	d.MustDial(t, "bob", ssh.PublicKeys(key))
	d.WaitAudit(t, "login_refused", 4)
	got := map[string]config.LoginRefusals{}
	d.Eventually(t, "the refusals are reported", func() bool { // they are noted after their line is written
		for _, e := range d.KeyUse(t, dir, config.KeyUseReport{}).Refusals {
			got[e.UID] = e
		}
		return len(got) == 2 && got["uid-ada"].Count == 2
	})
	ada, sue := got["uid-ada"], got["uid-sue"]
	if ada.Reason != "wrong_password" || ada.Source != "127.0.0.1" || time.Since(ada.Last) > time.Minute || ada.Since.After(ada.Last) {
		t.Errorf("%+v", ada)
	}
	if sue.Reason != "user_suspended" || sue.Count != 1 || sue.Fingerprint != ssh.FingerprintSHA256(key.PublicKey()) {
		t.Errorf("%+v", sue)
	}
	dir.Remove("ada")
	d.Reload(t, dir)
	if list := d.KeyUse(t, dir, config.KeyUseReport{}).Refusals; len(list) != 1 || list[0].UID != "uid-sue" {
		t.Errorf("after the user was removed: %+v", list)
	}
}
