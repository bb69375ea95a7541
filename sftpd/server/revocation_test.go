package server_test

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestReloadRevokes: a session that is no longer authorized is closed within a second of the swap of ..data, and no other
// session is affected.
func TestReloadRevokes(t *testing.T) {
	type change func(t *testing.T, dir *configtest.Dir, u *config.User)
	key, _ := configtest.Key(t)
	other, _ := configtest.Key(t)
	unknown, _ := configtest.Key(t)
	byKey := []ssh.AuthMethod{ssh.PublicKeys(key)}
	byPassword := []ssh.AuthMethod{ssh.Password("secret")}
	past, future := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)

	for _, tc := range []struct {
		name    string
		methods []ssh.AuthMethod
		change  change
		reason  string // "" for a session that continues
	}{
		{"user removed", byKey, func(_ *testing.T, d *configtest.Dir, _ *config.User) { d.Remove("ada") }, "user_removed"},
		{"user made again", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.UID = "another" }, "user_removed"},
		{"record not usable", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) {
			u.Keys[0].PublicKey = "ssh-ed25519 AAAA"
		}, "user_removed"},
		{"key removed", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Keys = u.Keys[1:] }, "key_removed"},
		{"key revoked", byKey, revoke(key), "key_revoked"},
		{"key revoked and removed", byKey, func(t *testing.T, d *configtest.Dir, u *config.User) {
			t.Helper()
			revoke(key)(t, d, u)
			d.Remove("ada")
		}, "key_revoked"},
		{"unknown key revoked", byKey, revoke(unknown), ""},
		{"key revoked, session by password", byPassword, revoke(key), ""},
		{"other key removed", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Keys = u.Keys[:1] }, ""},
		{"all keys removed, session by password", byPassword, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Keys = nil }, ""},
		{"key from elsewhere", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Keys[0].From = []string{"192.0.2.0/24"} }, "source_not_allowed"},
		{"key from here", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Keys[0].From = []string{"127.0.0.0/8"} }, ""},
		{"user from elsewhere", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.AllowFrom = []string{"192.0.2.0/24"} }, "source_not_allowed"},
		{"user from elsewhere, session by password", byPassword, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.AllowFrom = []string{"192.0.2.0/24"} }, "source_not_allowed"},
		{"user from here", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) {
			u.AllowFrom = []string{"192.0.2.0/24", "127.0.0.0/8"}
		}, ""},
		{"all from elsewhere", byKey, func(_ *testing.T, d *configtest.Dir, _ *config.User) { d.Listener.AllowFrom = []string{"192.0.2.0/24"} }, "source_not_allowed"},
		{"all from here", byKey, func(_ *testing.T, d *configtest.Dir, _ *config.User) { d.Listener.AllowFrom = []string{"127.0.0.0/8"} }, ""},
		{"password changed", byPassword, setPassword("other"), "password_changed"},
		{"password changed, session by key", byKey, setPassword("other"), ""},
		{"password removed", byPassword, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Password = nil }, "password_changed"},
		{"key needed too", byPassword, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Methods = []string{"PublicKey,Password"} }, "second_factor_required"},
		{"password needed too", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Methods = []string{"PublicKey,Password"} }, "second_factor_required"},
		{"passwords not offered", byPassword, func(_ *testing.T, d *configtest.Dir, _ *config.User) {
			d.Listener.Authentication.Methods = []string{config.MethodPublicKey}
		}, "method_not_offered"},
		{"keys not offered", byKey, func(_ *testing.T, d *configtest.Dir, _ *config.User) {
			d.Listener.Authentication.Methods = []string{config.MethodPassword}
		}, "method_not_offered"},
		{"read-only now", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Mounts[0].Access = config.ReadOnly }, "mounts_changed"},
		{"other volume", byKey, func(t *testing.T, d *configtest.Dir, _ *config.User) { d.Listener.Volumes[0].Path = t.TempDir() }, "mounts_changed"},
		{"time is over", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.NotAfter = &past }, "user_expired"},
		{"time of the key is over", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Keys[0].NotAfter = &past }, "key_expired"},
		{"time of the key is still to come", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Keys[0].NotBefore = &future }, "key_not_yet_valid"},
		{"time of the key, session by password", byPassword, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Keys[0].NotAfter = &past }, ""},
		{"time of the other key is over", byKey, func(_ *testing.T, _ *configtest.Dir, u *config.User) { u.Keys[1].NotAfter = &past }, ""},
		{"limits changed", byKey, func(_ *testing.T, d *configtest.Dir, u *config.User) {
			u.MaxConnections, d.Listener.Limits.MaxConnections, d.Listener.Authentication.MaxTries = 1, 1, 1
		}, ""},
		{"host key changed", byKey, func(t *testing.T, d *configtest.Dir, _ *config.User) { _, d.HostKeys[0] = configtest.Key(t) }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := configtest.New(t)
			dir.AddUser("ada", "secret", key.PublicKey(), other.PublicKey())
			dir.AddUser("bob", "", other.PublicKey())
			d := daemontest.Start(t, dir)
			c := d.MustDial(t, "ada", tc.methods...)
			bystander := d.MustDial(t, "bob", ssh.PublicKeys(other))
			closed := make(chan struct{})
			go func() { _ = c.Wait(); close(closed) }()

			tc.change(t, dir, dir.User(t, "ada"))
			if slices.Contains([]string{"other volume", "keys not offered", "all from elsewhere"}, tc.name) {
				dir.Remove("bob") // it is affected too
			} else {
				defer daemontest.StillWorks(t, bystander)
			}
			if tc.reason == "" {
				d.Reload(t, dir)
				daemontest.StillWorks(t, c)
				if n := len(d.Audit(t, "session_revoked")); n != 0 {
					t.Errorf("%d sessions revoked", n)
				}
				return
			}
			dir.Write(t)
			swapped := time.Now() // or a little earlier
			select {
			case <-closed:
				t.Logf("closed after %s", time.Since(swapped))
			case <-time.After(daemontest.Second()):
				t.Fatal("still open a second after the swap")
			}
			for _, event := range []string{"session_revoked", "logout"} {
				d.Eventually(t, "audit log has ada's "+event, func() bool {
					return slices.ContainsFunc(d.Audit(t, event), func(e map[string]any) bool {
						return e["user"] == "ada" && e["reason"] == tc.reason
					})
				})
			}
		})
	}
}

func revoke(key ssh.Signer) func(*testing.T, *configtest.Dir, *config.User) {
	return func(_ *testing.T, d *configtest.Dir, _ *config.User) {
		d.Listener.Revoked.Keys = append(d.Listener.Revoked.Keys, ssh.FingerprintSHA256(key.PublicKey()))
	}
}

// TestRevokedKey: a revoked key logs in no user, and a stranger sees no difference between users.
func TestRevokedKey(t *testing.T) {
	t.Parallel()
	lost, _ := configtest.Key(t)
	kept, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", lost.PublicKey(), kept.PublicKey())
	dir.AddUser("bob", "secret", lost.PublicKey()).Methods = []string{"PublicKey,Password"}
	revoke(lost)(t, dir, nil)
	d := daemontest.Start(t, dir)
	for _, user := range []string{"ada", "bob", "nobody"} {
		if c, err := d.Dial(user, ssh.PublicKeys(lost), ssh.Password("secret")); err == nil {
			c.Close()
			t.Errorf("%s logged in with a revoked key", user)
		}
		d.Eventually(t, "the audit log says that "+user+"'s key is revoked", func() bool {
			return slices.ContainsFunc(d.Audit(t, "login_refused"), func(e map[string]any) bool {
				return e["user"] == user && e["reason"] == "key_revoked"
			})
		})
	}
	daemontest.StillWorks(t, d.MustDial(t, "ada", ssh.PublicKeys(lost, kept)))
}

func setPassword(to string) func(*testing.T, *configtest.Dir, *config.User) {
	return func(t *testing.T, _ *configtest.Dir, u *config.User) {
		t.Helper()
		hash, err := password.New([]byte(to))
		if err != nil {
			t.Fatal(err)
		}
		u.Password.Hash = hash
	}
}

// TestNotAfter: a user's validity ends without a reload.
func TestNotAfter(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	inTime(t, 2*time.Second, func(soon time.Duration) bool {
		dir := configtest.New(t)
		end := time.Now().Add(soon)
		dir.AddUser("ada", "", key.PublicKey()).NotAfter = &end
		d := daemontest.Start(t, dir)
		c, err := use(d, "ada", ssh.PublicKeys(key))
		if !time.Now().Before(end) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if late := time.Since(end); late < 0 || late > daemontest.Second() {
			t.Errorf("closed %s after the end", late)
		}
		if got := d.WaitAudit(t, "session_revoked", 1); got["reason"] != "user_expired" {
			t.Errorf("audit: %v", got)
		}
		if _, err := d.Dial("ada", ssh.PublicKeys(key)); err == nil {
			t.Error("an expired user got in")
		}
		return true
	})
}

// TestReloadChangesTime: a session ends at the time that the last reload set for its user or key, even if that differs from the
// time when it began.
func TestReloadChangesTime(t *testing.T) {
	for _, tc := range []struct {
		name          string
		before, after func(u *config.User, end *time.Time)
		reason        string // "" for a session that continues
	}{
		{"a user gets an end", nil, func(u *config.User, end *time.Time) { u.NotAfter = end }, "user_expired"},
		{"a key gets an end", nil, func(u *config.User, end *time.Time) { u.Keys[0].NotAfter = end }, "key_expired"},
		{"a user's end is taken away", func(u *config.User, end *time.Time) { u.NotAfter = end }, func(u *config.User, _ *time.Time) { u.NotAfter = nil }, ""},
		{"a key's end is taken away", func(u *config.User, end *time.Time) { u.Keys[0].NotAfter = end }, func(u *config.User, _ *time.Time) { u.Keys[0].NotAfter = nil }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			inTime(t, 2*time.Second, func(soon time.Duration) bool {
				key, _ := configtest.Key(t)
				dir := configtest.New(t)
				u := dir.AddUser("ada", "", key.PublicKey())
				end := time.Now().Add(soon)
				if tc.before != nil {
					tc.before(u, &end)
				}
				d := daemontest.Start(t, dir)
				c, err := use(d, "ada", ssh.PublicKeys(key))
				tc.after(dir.User(t, "ada"), &end)
				d.Reload(t, dir)
				if !time.Now().Before(end) {
					return false
				}
				if err != nil {
					t.Fatal(err)
				}
				if tc.reason == "" {
					time.Sleep(time.Until(end) + time.Second)
					daemontest.StillWorks(t, c)
					return true
				}
				_ = c.Wait()
				if late := time.Since(end); late < 0 || late > daemontest.Second() {
					t.Errorf("closed %s after the end", late)
				}
				if got := d.WaitAudit(t, "session_revoked", 1); got["reason"] != tc.reason {
					t.Errorf("audit: %v", got)
				}
				return true
			})
		})
	}
}

// TestReloadDuringLogin: access that a reload removes during a login is not granted at its end.
func TestReloadDuringLogin(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	other, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "secret", key.PublicKey(), other.PublicKey()).Methods = []string{"PublicKey,Password"}
	d := daemontest.Start(t, dir)
	answer := func(_, _ string, questions []string, _ []bool) ([]string, error) {
		dir.User(t, "ada").Keys = dir.User(t, "ada").Keys[1:] // the one that is in use
		d.Reload(t, dir)
		return []string{"secret"}, nil
	}
	c, err := d.Dial("ada", ssh.PublicKeys(key), ssh.KeyboardInteractive(answer))
	if err == nil {
		// The server reports success before it admits the session.
		if s, err := c.NewSession(); err == nil {
			s.Close()
			t.Error("a session was opened with a removed key")
		}
		c.Close()
	}
	if got := d.WaitAudit(t, "login_refused", 1); got["reason"] != "changed_during_login" {
		t.Errorf("audit: %v", got)
	}
	if n := len(d.Audit(t, "login")); n != 0 {
		t.Errorf("%d logins in the audit log", n)
	}
}
