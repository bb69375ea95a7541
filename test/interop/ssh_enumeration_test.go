package interop

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// TestOpenSSHSeesNoUsers: whatever a stranger tries, the answers for an existing user equal those for one that does not exist.
func TestOpenSSHSeesNoUsers(t *testing.T) {
	key, _ := configtest.Key(t)
	_, strangers := configtest.Key(t)
	past := time.Now().Add(-time.Hour)
	dir := configtest.New(t)
	dir.AddUser("key", "", key.PublicKey())
	dir.AddUser("password", "secret")
	dir.AddUser("both", "secret", key.PublicKey()).Methods = []string{"PublicKey,Password"}
	totp := &config.TOTP{Secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Digits: 6, Algorithm: "SHA1"}
	u := dir.AddUser("code", "", key.PublicKey())
	u.Methods, u.TOTP = []string{"PublicKey,TOTP"}, totp
	u = dir.AddUser("password-code", "secret")
	u.Methods, u.TOTP = []string{"Password,TOTP"}, totp
	dir.AddUser("expired", "secret", key.PublicKey()).NotAfter = &past
	dir.AddUser("far", "", parse(t, strangers).PublicKey()).Keys[0].From = []string{"192.0.2.0/24"}
	o := newOpenSSH(t, dir)
	id := o.identity(t, strangers)

	for name, try := range map[string]struct {
		password string
		options  []string
	}{
		"nothing":              {"", []string{"-o", "PreferredAuthentications=none"}},
		"a key":                {"", id},
		"a password":           {"guess", []string{"-o", "PreferredAuthentications=password"}},
		"keyboard-interactive": {"guess", []string{"-o", "PreferredAuthentications=keyboard-interactive"}},
		"a key, then password": {"guess", slices.Concat(id, []string{"-o", "PreferredAuthentications=publickey,password"})},
	} {
		t.Run(name, func(t *testing.T) {
			seen := func(user string) string {
				r := o.run(t, "ssh", user, try.password, "", slices.Concat(try.options, []string{"-v", "-s"}), "sftp")
				r.refused(t)
				// The server's answers, without the ports, process IDs and key files of this run.
				var said []string
				for line := range strings.Lines(r.stderr) {
					for _, about := range []string{
						"Authentications that can continue", "Server accepts key", "Permission denied",
						"partial success", "Next authentication method",
					} {
						if strings.Contains(line, about) {
							said = append(said, strings.ReplaceAll(strings.TrimSpace(line), user+"@", "USER@"))
						}
					}
				}
				return strings.Join(said, "\n")
			}
			want := seen("nobody")
			if !strings.Contains(want, "publickey") {
				t.Fatalf("no methods in %q", want)
			}
			for _, user := range []string{"key", "password", "both", "code", "password-code", "expired", "far"} {
				if have := seen(user); have != want {
					t.Errorf("%s is told\n%s\nand an unknown user\n%s", user, have, want)
				}
			}
		})
	}
}
