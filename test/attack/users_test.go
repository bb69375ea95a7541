package attack

import (
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// kinds of users that a stranger must not be able to distinguish. The first one does not exist.
var kinds = []string{"nobody", "password", "key", "either", "both", "code", "password-code", "expired", "elsewhere"}

// addUsers adds one user of each kind.
func addUsers(t *testing.T, dir *configtest.Dir) {
	t.Helper()
	key, _ := configtest.Key(t)
	past := time.Now().Add(-time.Hour)
	dir.AddUser("password", "secret")
	dir.AddUser("key", "", key.PublicKey())
	dir.AddUser("either", "secret", key.PublicKey())
	dir.AddUser("both", "secret", key.PublicKey()).Methods = []string{"PublicKey,Password"}
	totp := &config.TOTP{Secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Digits: 6, Algorithm: "SHA1"}
	u := dir.AddUser("code", "", key.PublicKey())
	u.Methods, u.TOTP = []string{"PublicKey,TOTP"}, totp
	u = dir.AddUser("password-code", "secret")
	u.Methods, u.TOTP = []string{"Password,TOTP"}, totp
	dir.AddUser("expired", "secret", key.PublicKey()).NotAfter = &past
	dir.AddUser("elsewhere", "secret", key.PublicKey()).AllowFrom = []string{"192.0.2.0/24"}
}
