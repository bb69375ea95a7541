package credentials

import (
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

const totpSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

func methods(t *testing.T, text string) factor.Set {
	t.Helper()
	set, err := factor.ParseSet(strings.Fields(text))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func totpFrom(name, entry string) v1alpha1.UserAuthentication {
	return v1alpha1.UserAuthentication{AuthorizedKeys: []string{ed25519Key}, TOTPSecretRef: &v1alpha1.TOTPSecretReference{Name: name, Key: entry}}
}

func TestTOTPSecrets(t *testing.T) {
	uri := "otpauth://totp/x?digits=8&algorithm=SHA256&secret=" + totpSecret
	for _, tc := range []struct {
		name, entry, data string
		want              config.TOTP // zero for a problem
		reason, message   string
	}{
		{"base32", "", totpSecret + "\n", config.TOTP{Secret: totpSecret, Digits: 6, Algorithm: "SHA1"}, "", ""},
		{"a URI", "uri", uri, config.TOTP{Secret: totpSecret, Digits: 8, Algorithm: "SHA256"}, "", ""},
		{"too short", "", totpSecret[:16], config.TOTP{}, "InvalidTOTPSecret", "80 bits, but at least 128"},
		{"no base32", "", "hunter1-hunter1-hunter1-hunter1", config.TOTP{}, "InvalidTOTPSecret", "not base32"},
		{"empty", "", "", config.TOTP{}, "InvalidTOTPSecret", "is empty"},
	} {
		entry := tc.entry
		if entry == "" {
			entry = "totp"
		}
		c := resolve(t, secrets(secret("t", entry, tc.data)), totpFrom("t", tc.entry), nil)
		p, bad := c.Problem()
		switch {
		case tc.reason == "" && (bad || *c.TOTP != tc.want):
			t.Errorf("%s: %v, %+v", tc.name, c.TOTP, p)
		case tc.reason != "" && (c.TOTP != nil || p.Reason != tc.reason || !strings.Contains(p.Message, tc.message) || !strings.HasPrefix(p.Message, `Secret "t", entry "totp"`)):
			t.Errorf("%s: %v, %+v", tc.name, c.TOTP, p)
		case tc.data != "" && strings.Contains(p.Message, tc.data):
			t.Errorf("%s: the message has the secret: %s", tc.name, p.Message)
		}
	}
	c := resolve(t, secrets(), totpFrom("t", ""), nil)
	if p, _ := c.Problem(); p.Reason != "SecretNotFound" || !strings.Contains(p.Message, "spec.authentication.totpSecretRef") {
		t.Errorf("a Secret that does not exist: %+v", p)
	}
}

// TestWithMethods: only combinations that can succeed are rendered, and the others are reported.
func TestWithMethods(t *testing.T) {
	key, password, code := []config.Key{{PublicKey: "k"}}, &config.Password{}, &config.TOTP{}
	for _, tc := range []struct {
		name     string
		c        Credentials
		methods  string // separated by spaces
		explicit bool
		want     string
		message  string // of the problem, a part
	}{
		{"a key", Credentials{Keys: key}, "PublicKey Password", false, "PublicKey", ""},
		{"a password", Credentials{Password: password}, "PublicKey Password", false, "Password", ""},
		{"a certificate", Credentials{Certificates: true}, "PublicKey,PublicKey", true, "PublicKey,PublicKey", ""},
		{"all", Credentials{Keys: key, Password: password, TOTP: code}, "PublicKey,Password,TOTP", true, "PublicKey,Password,TOTP", ""},
		{"one key where two are needed", Credentials{Keys: key}, "PublicKey,PublicKey", true, "", "PublicKey,PublicKey needs 2 different keys, and the user has 1"},
		{"no key", Credentials{Password: password}, "PublicKey,Password Password", true, "Password", "PublicKey,Password needs a key"},
		{
			"nothing of what is required",
			Credentials{Keys: key},
			"PublicKey,Password PublicKey,TOTP", false, "",
			"PublicKey,Password needs a password (spec.authentication.passwordSecretRef); PublicKey,TOTP needs the secret of an authenticator app",
		},
		{"one of what is required", Credentials{Keys: key, TOTP: code}, "PublicKey,Password PublicKey,TOTP", false, "PublicKey,TOTP", ""},
		{"known problems suffice", Credentials{Problems: []Problem{{"SecretNotFound", "gone"}}}, "PublicKey", true, "", ""},
	} {
		c := tc.c.WithMethods(methods(t, tc.methods), tc.explicit)
		if have := strings.Join(c.Methods.Strings(), " "); have != tc.want || c.CanLogIn() != (tc.want != "") {
			t.Errorf("%s: %s, want %s", tc.name, have, tc.want)
		}
		i := slices.IndexFunc(c.Problems, func(p Problem) bool { return p.Reason == v1alpha1.ReasonFactorMissing })
		if (i >= 0) != (tc.message != "") || i >= 0 && !strings.Contains(c.Problems[i].Message, tc.message) {
			t.Errorf("%s: %+v", tc.name, c.Problems)
		}
	}
}
