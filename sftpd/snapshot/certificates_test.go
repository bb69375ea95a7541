package snapshot_test

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// TestCertificatesNeedACA: users who can log in with certificates only are rejected if no CA is trusted, and the acknowledgment
// says so.
func TestCertificatesNeedACA(t *testing.T) {
	ca, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "").Certificates = true
	dir.AddUser("both", "secret").Certificates = true
	dir.User(t, "both").Methods = []string{"PublicKey,Password"}
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Users() != 0 || len(s.RejectedUIDs()) != 2 {
		t.Errorf("%d users, rejected %v", s.Users(), s.Rejected)
	}
	dir.Listener.Authentication.TrustedUserCAs = []string{configtest.Line(ca.PublicKey())}
	if s, err = build(t, dir); err != nil {
		t.Fatal(err)
	}
	if s.Users() != 2 || len(s.Rejected) != 0 {
		t.Errorf("%d users, rejected %v", s.Users(), s.Rejected)
	}
	for line, say := range map[string]string{
		"ssh-ed25519 AAAA": "authentication.trustedUserCAs[0]: the key after",
		`from="192.0.2.1" ` + configtest.Line(ca.PublicKey()): "authentication.trustedUserCAs[0]: options before a CA",
	} {
		dir.Listener.Authentication.TrustedUserCAs = []string{line}
		if _, err := build(t, dir); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
