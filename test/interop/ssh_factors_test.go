package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
)

// askpass answers OpenSSH's questions by their text.
const askpass = `#!/bin/sh
case "$1" in
*"Verification code"*) echo "$TEST_CODE" ;;
*assword*) echo "$TEST_PASSWORD" ;;
*) exit 1 ;;
esac
`

// factors logs users in with several factors.
type factors struct {
	*openSSH
	askpass string
}

// logIn provides the key files, the password and the code, each if it is asked for. sftp -b turns BatchMode on, and the first
// value counts.
func (f *factors) logIn(t *testing.T, user, password, code string, keys ...string) result {
	t.Helper()
	args := []string{"sftp", "-o", "BatchMode=no", "-o", "IdentitiesOnly=yes", "-b", "-"}
	for _, k := range keys {
		args = append(args, "-i", k)
	}
	if len(keys) == 0 {
		args = append(args, "-o", "PubkeyAuthentication=no")
	}
	return f.execute(t, user, batch, []string{
		"SSH_ASKPASS=" + f.askpass, "SSH_ASKPASS_REQUIRE=force", "TEST_PASSWORD=" + password, "TEST_CODE=" + code,
	}, args)
}

// nextCode returns a code that a daemon started in this time step accepts: one of a later step.
func nextCode(k totp.Key, offset int) string {
	return k.Code(totp.Step(time.Now()) + 1 + int64(offset))
}

// TestOpenSSHFactors: each combination with OpenSSH's client, with right and wrong answers at each step. Each login has its own
// user, because a code works only once.
func TestOpenSSHFactors(t *testing.T) {
	one, pemOne := configtest.Key(t)
	two, pemTwo := configtest.Key(t)
	_, pemOther := configtest.Key(t)
	phone := totp.Generate()
	dir := configtest.New(t)
	f := &factors{askpass: filepath.Join(t.TempDir(), "askpass")}
	write(t, f.askpass, askpass)
	if err := os.Chmod(f.askpass, 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for name, pem := range map[string][]byte{"one": pemOne, "two": pemTwo, "other": pemOther} {
		files[name] = filepath.Join(t.TempDir(), name)
		write(t, files[name], string(pem))
		if err := os.Chmod(files[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const right, wrong, none = "correct horse", "wrong", ""
	type login struct {
		methods             string // separated by spaces
		keys                string // separated by spaces
		password, code      string // code right, wrong or none
		ok                  bool
		reason, whatIsWrong string
	}
	logins := []login{
		{methods: "PublicKey,Password", keys: "one", password: right, ok: true},
		{methods: "PublicKey,Password", keys: "other", password: right, reason: "key_not_registered", whatIsWrong: "key"},
		{methods: "PublicKey,Password", keys: "one", password: wrong, reason: "wrong_password", whatIsWrong: "password"},
		{methods: "PublicKey,Password", password: right, reason: "key_required_first", whatIsWrong: "no key"},

		{methods: "PublicKey,TOTP", keys: "one", code: right, ok: true},
		{methods: "PublicKey,TOTP", keys: "other one", code: right, ok: true},
		{methods: "PublicKey,TOTP", keys: "other", code: right, reason: "key_not_registered", whatIsWrong: "key"},
		{methods: "PublicKey,TOTP", keys: "one", code: wrong, reason: "wrong_code", whatIsWrong: "code"},
		{methods: "PublicKey,TOTP", keys: "one", code: none, reason: "wrong_code", whatIsWrong: "no code"},
		{methods: "PublicKey,TOTP", password: right, code: right, reason: "key_required_first", whatIsWrong: "no key"},

		{methods: "Password,TOTP", password: right, code: right, ok: true},
		{methods: "Password,TOTP", keys: "one", password: right, code: right, ok: true},
		{methods: "Password,TOTP", password: wrong, code: right, reason: "wrong_password", whatIsWrong: "password"},
		{methods: "Password,TOTP", password: right, code: wrong, reason: "wrong_code", whatIsWrong: "code"},

		{methods: "PublicKey,PublicKey", keys: "one two", ok: true},
		{methods: "PublicKey,PublicKey", keys: "two one", ok: true},
		{methods: "PublicKey,PublicKey", keys: "one", reason: "next_factor_missing", whatIsWrong: "second key"},
		{methods: "PublicKey,PublicKey", keys: "one other", reason: "key_not_registered", whatIsWrong: "second key is a different one"},
		{methods: "PublicKey,PublicKey", keys: "other", reason: "key_not_registered", whatIsWrong: "key"},

		{methods: "PublicKey,Password,TOTP", keys: "one", password: right, code: right, ok: true},
		{methods: "PublicKey,Password,TOTP", keys: "one", password: wrong, code: right, reason: "wrong_password", whatIsWrong: "password"},
		{methods: "PublicKey,Password,TOTP", keys: "one", password: right, code: wrong, reason: "wrong_code", whatIsWrong: "code"},
		{methods: "PublicKey,PublicKey,TOTP", keys: "one two", code: right, ok: true},
		{methods: "PublicKey,PublicKey,TOTP", keys: "one", code: right, reason: "next_factor_missing", whatIsWrong: "second key"},
		{methods: "PublicKey,TOTP PublicKey,PublicKey", keys: "one two", code: wrong, ok: true},
	}
	for i, l := range logins {
		u := dir.AddUser(fmt.Sprint("u", i), right, one.PublicKey(), two.PublicKey())
		u.Methods = strings.Fields(l.methods)
		u.TOTP = &config.TOTP{Secret: phone.Secret(), Digits: phone.Digits(), Algorithm: phone.Algorithm()}
	}
	dir.Listener.Authentication.MaxTries = 20 // OpenSSH asks three times
	f.openSSH = newOpenSSH(t, dir)

	for i, l := range logins {
		user := fmt.Sprint("u", i)
		t.Run(l.methods+" "+l.whatIsWrong, func(t *testing.T) {
			code := l.code
			if code == right {
				code = nextCode(phone, 0)
			}
			var keys []string
			for k := range strings.FieldsSeq(l.keys) {
				keys = append(keys, files[k])
			}
			r := f.logIn(t, user, l.password, code, keys...)
			if l.ok {
				r.ok(t)
				return
			}
			r.refused(t)
			f.daemon.Eventually(t, "the audit log has the reason", func() bool {
				return slices.ContainsFunc(f.daemon.Audit(t, "login_refused"), func(e map[string]any) bool {
					return e["user"] == user && e["reason"] == l.reason
				})
			})
		})
	}
	if logged := f.daemon.RawAudit() + f.daemon.Log(); strings.Contains(logged, right) || strings.Contains(logged, phone.Secret()) {
		t.Error("a secret is in the logs")
	}
}

// TestOpenSSHCodes: a code works only once, not after a restart, and not with a wrong clock.
func TestOpenSSHCodes(t *testing.T) {
	key, pem := configtest.Key(t)
	phone := totp.Generate()
	dir := configtest.New(t)
	for _, user := range []string{"replay", "skewed", "skewed-back"} {
		u := dir.AddUser(user, "", key.PublicKey())
		u.Methods = []string{"PublicKey,TOTP"}
		u.TOTP = &config.TOTP{Secret: phone.Secret(), Digits: phone.Digits(), Algorithm: phone.Algorithm()}
	}
	old := nextCode(phone, -1) // from before the daemon started
	f := &factors{openSSH: newOpenSSH(t, dir), askpass: filepath.Join(t.TempDir(), "askpass")}
	write(t, f.askpass, askpass)
	if err := os.Chmod(f.askpass, 0o700); err != nil {
		t.Fatal(err)
	}
	id := f.identity(t, pem)[1]
	refused := func(user, code, reason string) {
		t.Helper()
		f.logIn(t, user, "", code, id).refused(t)
		f.daemon.Eventually(t, "the audit log says "+reason, func() bool {
			return slices.ContainsFunc(f.daemon.Audit(t, "login_refused"), func(e map[string]any) bool {
				return e["user"] == user && e["reason"] == reason
			})
		})
	}
	refused("replay", old, "code_older_than_server")
	code := nextCode(phone, 0)
	f.logIn(t, "replay", "", code, id).ok(t)
	refused("replay", code, "code_reused")
	refused("skewed", nextCode(phone, 6), "code_clock_skew")
	refused("skewed-back", nextCode(phone, -5), "code_clock_skew")
}

// TestOpenSSHPrompts: the text that OpenSSH's client prints before it reads a password or a code contains, exactly once, the
// words that scripts under expect and sshpass wait for, with each method.
func TestOpenSSHPrompts(t *testing.T) {
	phone := totp.Generate()
	dir := configtest.New(t)
	u := dir.AddUser("ada", "correct horse")
	u.Methods = []string{"Password,TOTP"}
	u.TOTP = &config.TOTP{Secret: phone.Secret(), Digits: phone.Digits(), Algorithm: phone.Algorithm()}
	dir.AddUser("bob", "correct horse")
	f := &factors{openSSH: newOpenSSH(t, dir), askpass: filepath.Join(t.TempDir(), "askpass")}
	asked := filepath.Join(t.TempDir(), "asked")
	write(t, f.askpass, strings.Replace(askpass, "\n", "\necho \"$1\" >>"+asked+"\n", 1))
	if err := os.Chmod(f.askpass, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		user, method string
		want         []string
	}{
		{"bob", "keyboard-interactive", []string{"password:"}},
		{"bob", "password", []string{"password:"}},
		{"ada", "keyboard-interactive", []string{"password:", "Verification code:"}},
	} {
		t.Run(tc.user+" "+tc.method, func(t *testing.T) {
			write(t, asked, "")
			f.execute(t, tc.user, batch, []string{
				"SSH_ASKPASS=" + f.askpass, "SSH_ASKPASS_REQUIRE=force", "TEST_PASSWORD=correct horse", "TEST_CODE=" + nextCode(phone, 0),
			}, []string{"sftp", "-o", "BatchMode=no", "-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=" + tc.method, "-b", "-"}).ok(t)
			lines := strings.Split(strings.TrimSpace(read(t, asked)), "\n")
			if len(lines) != len(tc.want) {
				t.Fatalf("asked %q", lines)
			}
			for i, line := range lines {
				if !strings.Contains(line, tc.want[i]) {
					t.Errorf("asked %q, want %q", line, tc.want[i])
				}
			}
		})
	}
}
