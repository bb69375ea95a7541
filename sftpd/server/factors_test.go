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

// app is an authenticator app with one secret. Its clock is a step ahead, because a daemon accepts no code of the step in which
// it started; this is always within the accepted clock skew.
type app struct{ totp.Key }

func newApp() app { return app{totp.Generate()} }

func (a app) code() string { return a.Code(totp.Step(time.Now()) + 1) }

func (a app) secret() *config.TOTP {
	return &config.TOTP{Secret: a.Secret(), Digits: a.Digits(), Algorithm: a.Algorithm()}
}

// prompts answers questions by their text.
func prompts(password, code string) ssh.AuthMethod {
	return asked(password, func() string { return code })
}

// asked is prompts with the code of the moment of the question.
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

// TestFactors tries combinations of factors, with right and wrong answers at each step.
func TestFactors(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	second, _ := configtest.Key(t)
	stranger, _ := configtest.Key(t)
	phone := newApp()
	const keyCode, passwordCode, keyKey = "PublicKey,TOTP", "Password,TOTP", "PublicKey,PublicKey"
	const all = "PublicKey,PublicKey,Password,TOTP"
	with := ssh.PublicKeys
	right, wrong := asked("secret", phone.code), prompts("wrong", "000 000x")
	password := ssh.Password("secret")

	for i, tc := range []struct {
		combinations string // separated by spaces
		login        []ssh.AuthMethod
		methods      string // those that succeeded, and the one that was refused
		reason       string // "" for a login
	}{
		{keyCode, []ssh.AuthMethod{with(key), right}, "PublicKey+TOTP", ""},
		{keyCode, []ssh.AuthMethod{with(stranger), right}, "", "key_not_registered"},
		{keyCode, []ssh.AuthMethod{with(key), wrong}, "PublicKey+TOTP", "wrong_code"},
		{keyCode, []ssh.AuthMethod{with(key), prompts("secret", "")}, "PublicKey+TOTP", "wrong_code"},
		{keyCode, []ssh.AuthMethod{with(key)}, "PublicKey", "next_factor_missing"},
		{keyCode, []ssh.AuthMethod{right}, "Password", "key_required_first"},
		{keyCode, []ssh.AuthMethod{with(key), password}, "PublicKey", "next_factor_missing"},

		{passwordCode, []ssh.AuthMethod{password, right}, "Password+TOTP", ""},
		{passwordCode, []ssh.AuthMethod{right}, "Password+TOTP", ""},
		{passwordCode, []ssh.AuthMethod{asked("wrong", phone.code)}, "Password", "wrong_password"},
		{passwordCode, []ssh.AuthMethod{prompts("secret", "1")}, "Password+TOTP", "wrong_code"},
		{passwordCode, []ssh.AuthMethod{ssh.Password("wrong")}, "Password", "wrong_password"},
		{passwordCode, []ssh.AuthMethod{with(key)}, "", "password_required_first"},

		{keyKey, []ssh.AuthMethod{with(key, second)}, "PublicKey+PublicKey", ""},
		{keyKey, []ssh.AuthMethod{with(second, stranger, key)}, "PublicKey+PublicKey", ""},
		{keyKey, []ssh.AuthMethod{with(key)}, "PublicKey", "next_factor_missing"},
		{keyKey, []ssh.AuthMethod{with(key, key)}, "PublicKey", "next_factor_missing"},
		{keyKey, []ssh.AuthMethod{with(key, stranger)}, "PublicKey", "key_not_registered"},
		{keyKey, []ssh.AuthMethod{password}, "Password", "key_required_first"},

		{all, []ssh.AuthMethod{with(key, second), password, right}, "PublicKey+PublicKey+Password+TOTP", ""},
		{all, []ssh.AuthMethod{with(key, second), right}, "PublicKey+PublicKey+Password+TOTP", ""},
		{all, []ssh.AuthMethod{with(key, second), password, wrong}, "PublicKey+PublicKey+Password+TOTP", "wrong_code"},
		{all, []ssh.AuthMethod{with(key, second), asked("wrong", phone.code)}, "PublicKey+PublicKey+Password", "wrong_password"},

		{keyCode + " PublicKey,Password", []ssh.AuthMethod{with(key), password}, "PublicKey+Password", ""},
		{keyCode + " PublicKey,Password", []ssh.AuthMethod{with(key), right}, "PublicKey+TOTP", ""},
		{keyCode + " Password", []ssh.AuthMethod{password}, "Password", ""},
		{"Password,PublicKey", []ssh.AuthMethod{password, with(key)}, "Password+PublicKey", ""},
		{"Password,PublicKey", []ssh.AuthMethod{password, with(stranger)}, "Password", "key_not_registered"},
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

// words joins a JSON list with "+".
func words(list any) string {
	items, _ := list.([]any)
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(items), "[]"), " ", "+")
}

// TestTwoKeys: both keys are in the audit log and have been used today.
func TestTwoKeys(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	second, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey(), second.PublicKey()).Methods = []string{"PublicKey,PublicKey"}
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

// TestCodes: a code works for one login, and the log reports a wrong clock.
func TestCodes(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	phone := newApp()
	dir := configtest.New(t)
	u := dir.AddUser("ada", "", key.PublicKey())
	u.Methods, u.TOTP = []string{"PublicKey,TOTP"}, phone.secret()
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
	refused(phone.Code(totp.Step(time.Now())-5), "code_clock_skew", "steps of 30 seconds behind")
	refused(phone.Code(totp.Step(time.Now())+8), "code_clock_skew", "steps of 30 seconds ahead")
	daemontest.StillWorks(t, c)
}

// TestCodesOfTwoDaemons: a code used on one daemon is used up on the other. If the volume does not let them coordinate, users
// can still log in, and a line is logged.
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
			u.Methods, u.TOTP = []string{"PublicKey,TOTP"}, phone.secret()
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
	two.MustDial(t, "bob", ssh.PublicKeys(key), prompts("", code)) // their own

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

// TestFactorRevocation: a session ends when any factor that it logged in with is removed.
func TestFactorRevocation(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	second, _ := configtest.Key(t)
	phone := newApp()
	const keyCode = "PublicKey,TOTP"
	for _, tc := range []struct {
		name, combination string
		change            func(dir *configtest.Dir, u *config.User)
		reason            string // "" for a session that continues
	}{
		{"first key removed", "PublicKey,PublicKey", func(_ *configtest.Dir, u *config.User) {
			u.Keys, u.Methods = u.Keys[1:], []string{"PublicKey"}
		}, "key_removed"},
		{"second key removed", "PublicKey,PublicKey", func(_ *configtest.Dir, u *config.User) {
			u.Keys, u.Methods = u.Keys[:1], []string{"PublicKey"}
		}, "key_removed"},
		{"second key revoked", "PublicKey,PublicKey", func(d *configtest.Dir, _ *config.User) {
			d.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(second.PublicKey())}
		}, "key_revoked"},
		{"one key suffices", "PublicKey,PublicKey", func(_ *configtest.Dir, u *config.User) { u.Methods = []string{"PublicKey"} }, ""},
		{"new secret", keyCode, func(_ *configtest.Dir, u *config.User) { u.TOTP = newApp().secret() }, "totp_changed"},
		{"secret removed", keyCode, func(_ *configtest.Dir, u *config.User) {
			u.TOTP, u.Methods = nil, []string{"PublicKey"}
		}, "totp_changed"},
		{"code no more needed", keyCode, func(_ *configtest.Dir, u *config.User) { u.Methods = []string{"PublicKey"} }, ""},
		{"password needed too", keyCode, func(_ *configtest.Dir, u *config.User) {
			u.Methods = []string{"PublicKey,Password,TOTP"}
		}, "second_factor_required"},
		{"new secret, session without", "PublicKey", func(_ *configtest.Dir, u *config.User) { u.TOTP = newApp().secret() }, ""},
		{"code needed too", "PublicKey", func(_ *configtest.Dir, u *config.User) { u.Methods = []string{keyCode} }, "second_factor_required"},
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
