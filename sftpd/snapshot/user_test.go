package snapshot

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// TestUnusableUser: an unusable record gives an error that names the field, even where config.DecodeUser would refuse it.
func TestUnusableUser(t *testing.T) {
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.Listener.Authentication.TrustedUserCAs = []string{configtest.Line(key.PublicKey())}
	for _, tc := range []struct {
		say    string
		change func(*config.User)
	}{
		{"key 0: ", func(u *config.User) { u.Keys[0].PublicKey = "ssh-ed25519 AAAA" }},
		{"key 0: put the key's networks in the field from", func(u *config.User) {
			u.Keys[0].PublicKey = `from="192.0.2.1" ` + u.Keys[0].PublicKey
		}},
		{"key 0: from: ", func(u *config.User) { u.Keys[0].From = []string{"x"} }},
		{"password: ", func(u *config.User) { u.Password = &config.Password{Hash: "x"} }},
		{"methods: ", func(u *config.User) { u.Methods = []string{"magic"} }},
		{"totp: ", func(u *config.User) { u.TOTP = &config.TOTP{Secret: "!", Digits: 6, Algorithm: "SHA1"} }},
		{"allowFrom: ", func(u *config.User) { u.AllowFrom = []string{"x"} }},
		{`mount "/": the listener has no volume "other"`, func(u *config.User) { u.Mounts[0].Volume = "other" }},
		{"methods: ", func(u *config.User) { u.Methods = nil }},
		{"no combination", func(u *config.User) { u.Methods = []string{"Password"} }},
		{"no combination", func(u *config.User) { u.Methods = []string{"PublicKey,PublicKey"} }},
		{"no combination", func(u *config.User) { u.Methods = []string{"PublicKey,TOTP"} }},
		{"no combination", func(u *config.User) { u.Keys = nil }},
		{"", func(*config.User) {}},
		{"", func(u *config.User) {
			u.TOTP = &config.TOTP{Secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", Digits: 6, Algorithm: "SHA1"}
			u.Methods = []string{"PublicKey,TOTP"}
		}},
		{"", func(u *config.User) { u.Keys, u.Certificates = nil, true }},
	} {
		u := *dir.AddUser("ada", "", key.PublicKey())
		u.Methods = []string{"PublicKey"}
		tc.change(&u)
		got, err := newUser(u, dir.Listener)
		if tc.say == "" {
			if err != nil || got.Username != "ada" {
				t.Errorf("%+v, %v", got, err)
			}
			continue
		}
		if err == nil || got != nil || !strings.HasPrefix(err.Error(), tc.say) {
			t.Errorf("%v, want %q", err, tc.say)
		}
	}
}

// TestUnreadableLine: a line that cannot be parsed is rejected with the reason, and identified as far as it can be read.
func TestUnreadableLine(t *testing.T) {
	shard := config.Shard{File: config.File{Name: "users-00.jsonl"}, Data: []byte(`{"uid":"uid-ada","username":"ada","surprise":1}` + "\n")}
	p := parse(shard, config.Listener{}, &guest{alone: true})
	if len(p.logins) != 0 || len(p.rejected) != 1 || p.rejected[0].UID != "uid-ada" || !strings.Contains(p.rejected[0].Reason, "surprise") {
		t.Errorf("%+v", p)
	}
}
