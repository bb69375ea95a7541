package interop

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// TestOpenSSHBanner: OpenSSH's client prints the banner, line by line, and logs in.
func TestOpenSSHBanner(t *testing.T) {
	key, pem := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	dir.Listener.Authentication.Banner = "For partners only.\nAll use is logged."
	o := newOpenSSH(t, dir)
	r := o.execute(t, "ada", batch, nil, append([]string{"sftp", "-b", "-"}, o.identity(t, pem)...))
	r.ok(t)
	if printed := strings.ReplaceAll(r.stderr, "\r", ""); !strings.Contains(printed, "For partners only.\nAll use is logged.\n") {
		t.Errorf("printed %q", r.stderr)
	}
}
