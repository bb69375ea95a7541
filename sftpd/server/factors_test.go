package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// app is an authenticator app with one secret. Its clock is a step ahead, for a daemon
// accepts nothing of the step in which it began; whenever a test runs, that is within what
// a clock may be off.
type app struct{ totp.Key }

func newApp() app { return app{totp.Generate()} }

func (a app) code() string { return a.Code(totp.Step(time.Now()) + 1) }

func (a app) secret() *config.TOTP {
	return &config.TOTP{Secret: a.Secret(), Digits: a.Digits(), Algorithm: a.Algorithm()}
}

// prompts answers questions by what they ask for.
func prompts(password, code string) ssh.AuthMethod {
	return asked(password, func() string { return code })
}

// asked is prompts with a code of the moment when it is asked for.
func asked(password string, code func() string) ssh.AuthMethod {
	return ssh.KeyboardInteractive(func(_, _ string, questions []string, echos []bool) ([]string, error) {
		out := make([]string, len(questions))
		for i, q := range questions {
			switch {
			case echos[i]:
				return nil, fmt.Errorf("%q is echoed", q)
			case q == "password: ":
				out[i] = password
			case q == "Verification code: ":
				out[i] = code()
			default:
				return nil, fmt.Errorf("asked %q", q)
			}
		}
		return out, nil
	})
}

// TestFactors goes through combinations, right and wrong at each step.
func TestFactors(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	second, _ := configtest.Key(t)
	stranger, _ := configtest.Key(t)
	phone := newApp()
	const keyCode, passwordCode, keyKey = "publickey,keyboard-interactive:totp", "password,keyboard-interactive:totp", "publickey,publickey"
	const all = "publickey,publickey,password,keyboard-interactive:totp"
	with := ssh.PublicKeys
	right, wrong := asked("secret", phone.code), prompts("wrong", "000 000x")
	password := ssh.Password("secret")

	for i, tc := range []struct {
		combinations string // with blanks between them
		login        []ssh.AuthMethod
		methods      string // that succeeded, and the one that was refused
		reason       string // "" for a login
	}{
		{keyCode, []ssh.AuthMethod{with(key), right}, "publickey+keyboard-interactive:totp", ""},
		{keyCode, []ssh.AuthMethod{with(stranger), right}, "", "key_not_registered"},
		{keyCode, []ssh.AuthMethod{with(key), wrong}, "publickey+keyboard-interactive:totp", "wrong_code"},
		{keyCode, []ssh.AuthMethod{with(key), prompts("secret", "")}, "publickey+keyboard-interactive:totp", "wrong_code"},
		{keyCode, []ssh.AuthMethod{with(key)}, "publickey", "next_factor_missing"},
		{keyCode, []ssh.AuthMethod{right}, "keyboard-interactive", "key_required_first"},
		{keyCode, []ssh.AuthMethod{with(key), password}, "publickey", "next_factor_missing"},

		{passwordCode, []ssh.AuthMethod{password, right}, "password+keyboard-interactive:totp", ""},
		{passwordCode, []ssh.AuthMethod{right}, "keyboard-interactive+keyboard-interactive:totp", ""},
		{passwordCode, []ssh.AuthMethod{asked("wrong", phone.code)}, "keyboard-interactive", "wrong_password"},
		{passwordCode, []ssh.AuthMethod{prompts("secret", "1")}, "keyboard-interactive+keyboard-interactive:totp", "wrong_code"},
		{passwordCode, []ssh.AuthMethod{ssh.Password("wrong")}, "password", "wrong_password"},
		{passwordCode, []ssh.AuthMethod{with(key)}, "", "password_required_first"},

		{keyKey, []ssh.AuthMethod{with(key, second)}, "publickey+publickey", ""},
		{keyKey, []ssh.AuthMethod{with(second, stranger, key)}, "publickey+publickey", ""},
		{keyKey, []ssh.AuthMethod{with(key)}, "publickey", "next_factor_missing"},
		{keyKey, []ssh.AuthMethod{with(key, key)}, "publickey", "next_factor_missing"},
		{keyKey, []ssh.AuthMethod{with(key, stranger)}, "publickey", "key_not_registered"},
		{keyKey, []ssh.AuthMethod{password}, "password", "key_required_first"},

		{all, []ssh.AuthMethod{with(key, second), password, right}, "publickey+publickey+password+keyboard-interactive:totp", ""},
		{all, []ssh.AuthMethod{with(key, second), right}, "publickey+publickey+keyboard-interactive+keyboard-interactive:totp", ""},
		{all, []ssh.AuthMethod{with(key, second), password, wrong}, "publickey+publickey+password+keyboard-interactive:totp", "wrong_code"},
		{all, []ssh.AuthMethod{with(key, second), asked("wrong", phone.code)}, "publickey+publickey+keyboard-interactive", "wrong_password"},

		{keyCode + " publickey,password", []ssh.AuthMethod{with(key), password}, "publickey+password", ""},
		{keyCode + " publickey,password", []ssh.AuthMethod{with(key), right}, "publickey+keyboard-interactive:totp", ""},
		{keyCode + " password", []ssh.AuthMethod{password}, "password", ""},
		{"password,publickey", []ssh.AuthMethod{password, with(key)}, "password+publickey", ""},
		{"password,publickey", []ssh.AuthMethod{password, with(stranger)}, "password", "key_not_registered"},
	} {
		t.Run(fmt.Sprintf("%d: %s %s", i, tc.methods, tc.reason), func(t *testing.T) {
			t.Parallel()
			dir := configtest.New(t)
			u := dir.AddUser("ada", "secret", key.PublicKey(), second.PublicKey())
			u.Methods, u.TOTP = strings.Fields(tc.combinations), phone.secret()
			d := daemontest.Start(t, dir)
			c, err := d.Dial("ada", tc.login...)
			event := "login"
			if tc.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				daemontest.StillWorks(t, c)
				c.Close()
			} else {
				event = "login_refused"
				if err == nil {
					c.Close()
					t.Fatal("logged in")
				}
				d.Eventually(t, "the connection is over", func() bool {
					_, metrics := d.Get(t, "/metrics")
					return strings.Contains(metrics, "sftpd_connections 0\n")
				})
			}
			e := d.WaitAudit(t, event, 1)
			if refusals := d.Audit(t, event); len(refusals) > 0 {
				e = refusals[len(refusals)-1]
			}
			if have := words(e["methods"]); have != tc.methods || tc.reason != "" && e["reason"] != tc.reason {
				t.Errorf("%q %v, want %q %s", have, e["reason"], tc.methods, tc.reason)
			}
			for _, text := range []string{d.RawAudit(), d.Log()} {
				if strings.Contains(text, phone.Secret()) || strings.Contains(text, phone.code()) {
					t.Error("the secret or a code is in the logs")
				}
			}
		})
	}
}

// words joins a list of JSON with "+".
func words(list any) string {
	items, _ := list.([]any)
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(items), "[]"), " ", "+")
}

// TestTwoKeys: both are in the audit log, and were used today.
func TestTwoKeys(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	second, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey(), second.PublicKey()).Methods = []string{"publickey,publickey"}
	d := daemontest.Start(t, dir)
	d.MustDial(t, "ada", ssh.PublicKeys(key, second))
	e := d.WaitAudit(t, "login", 1)
	first, further := ssh.FingerprintSHA256(key.PublicKey()), ssh.FingerprintSHA256(second.PublicKey())
	if e["key_fingerprint"] != first || words(e["further_key_fingerprints"]) != further {
		t.Errorf("audit: %v", e)
	}
	var used []string
	for _, u := range d.KeyUse(t, dir, config.KeyUseReport{}).Uses {
		used = append(used, u.Fingerprint)
	}
	if len(used) != 2 || !slices.Contains(used, first) || !slices.Contains(used, further) {
		t.Errorf("used: %v", used)
	}
}

// TestCodes: a code is good for one login, and a wrong clock is named to who reads the log.
func TestCodes(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	phone := newApp()
	dir := configtest.New(t)
	u := dir.AddUser("ada", "", key.PublicKey())
	u.Methods, u.TOTP = []string{"publickey,keyboard-interactive:totp"}, phone.secret()
	d := daemontest.Start(t, dir)
	code := phone.code()
	c := d.MustDial(t, "ada", ssh.PublicKeys(key), prompts("", code[:3]+" "+code[3:]))
	refused := func(code, reason, detail string) {
		t.Helper()
		n := len(d.Audit(t, "login_refused"))
		if c, err := d.Dial("ada", ssh.PublicKeys(key), prompts("", code)); err == nil {
			c.Close()
			t.Errorf("logged in, want %s", reason)
		}
		e := d.WaitAudit(t, "login_refused", n+1)
		if have, _ := e["detail"].(string); e["reason"] != reason || !strings.Contains(have, detail) {
			t.Errorf("want %s, audit has %v", reason, e)
		}
	}
	refused(code, "code_reused", "")
	refused(phone.Code(totp.Step(time.Now())-5), "code_clock_skew", "steps of 30 seconds ago")
	refused(phone.Code(totp.Step(time.Now())+8), "code_clock_skew", "steps of 30 seconds ahead")
	daemontest.StillWorks(t, c)
}

// TestCodesOfTwoDaemons: a code that logged in on one is used up on the other, too. If the
// volume does not let them tell each other, users still get in, and the log says it.
func TestCodesOfTwoDaemons(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	phone := newApp()
	volumes := configtest.New(t).Listener.Volumes
	start := func() *daemontest.Daemon {
		dir := configtest.New(t)
		dir.Listener.Volumes, dir.Listener.Authentication.SharedCodes = volumes, "data"
		for _, user := range []string{"ada", "bob"} {
			u := dir.AddUser(user, "", key.PublicKey())
			u.Methods, u.TOTP = []string{"publickey,keyboard-interactive:totp"}, phone.secret()
		}
		return daemontest.Start(t, dir)
	}
	one, two := start(), start()
	code := phone.code()
	one.MustDial(t, "ada", ssh.PublicKeys(key), prompts("", code))
	if c, err := two.Dial("ada", ssh.PublicKeys(key), prompts("", code)); err == nil {
		c.Close()
		t.Error("the code is good on the other daemon, too")
	}
	if e := two.WaitAudit(t, "login_refused", 1); e["reason"] != "code_reused" {
		t.Errorf("audit: %v", e)
	}
	two.MustDial(t, "bob", ssh.PublicKeys(key), prompts("", code)) // his own

	shared := filepath.Join(volumes[0].Path, ".sftpd-codes")
	if err := os.RemoveAll(shared); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shared, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	one.MustDial(t, "bob", ssh.PublicKeys(key), asked("", phone.code))
	e := one.WaitAudit(t, "login", 2)
	if detail, _ := e["detail"].(string); !strings.HasPrefix(detail, "other pods do not know that the code was used: ") {
		t.Errorf("audit: %v", e)
	}
}

// TestFactorRevocation: a session ends with any of the factors that it came with.
func TestFactorRevocation(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	second, _ := configtest.Key(t)
	phone := newApp()
	const keyCode = "publickey,keyboard-interactive:totp"
	for _, tc := range []struct {
		name, combination string
		change            func(dir *configtest.Dir, u *config.User)
		reason            string // "" for a session that goes on
	}{
		{"first key removed", "publickey,publickey", func(_ *configtest.Dir, u *config.User) {
			u.Keys, u.Methods = u.Keys[1:], []string{"publickey"}
		}, "key_removed"},
		{"second key removed", "publickey,publickey", func(_ *configtest.Dir, u *config.User) {
			u.Keys, u.Methods = u.Keys[:1], []string{"publickey"}
		}, "key_removed"},
		{"second key revoked", "publickey,publickey", func(d *configtest.Dir, _ *config.User) {
			d.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(second.PublicKey())}
		}, "key_revoked"},
		{"one key suffices", "publickey,publickey", func(_ *configtest.Dir, u *config.User) { u.Methods = []string{"publickey"} }, ""},
		{"new secret", keyCode, func(_ *configtest.Dir, u *config.User) { u.TOTP = newApp().secret() }, "totp_changed"},
		{"secret removed", keyCode, func(_ *configtest.Dir, u *config.User) {
			u.TOTP, u.Methods = nil, []string{"publickey"}
		}, "totp_changed"},
		{"code no more needed", keyCode, func(_ *configtest.Dir, u *config.User) { u.Methods = []string{"publickey"} }, ""},
		{"password needed too", keyCode, func(_ *configtest.Dir, u *config.User) {
			u.Methods = []string{"publickey,password,keyboard-interactive:totp"}
		}, "second_factor_required"},
		{"new secret, session without", "publickey", func(_ *configtest.Dir, u *config.User) { u.TOTP = newApp().secret() }, ""},
		{"code needed too", "publickey", func(_ *configtest.Dir, u *config.User) { u.Methods = []string{keyCode} }, "second_factor_required"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := configtest.New(t)
			u := dir.AddUser("ada", "secret", key.PublicKey(), second.PublicKey())
			u.Methods, u.TOTP = []string{tc.combination}, phone.secret()
			d := daemontest.Start(t, dir)
			c := d.MustDial(t, "ada", ssh.PublicKeys(key, second), asked("", phone.code))
			tc.change(dir, u)
			d.Reload(t, dir)
			if tc.reason == "" {
				daemontest.StillWorks(t, c)
				return
			}
			_ = c.Wait()
			if e := d.WaitAudit(t, "session_revoked", 1); e["reason"] != tc.reason {
				t.Errorf("want %s, audit has %v", tc.reason, e)
			}
		})
	}
}
