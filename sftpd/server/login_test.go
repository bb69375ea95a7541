package server_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

func answers(password string) ssh.AuthMethod {
	return ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		out := make([]string, len(questions))
		for i := range out {
			out[i] = password
		}
		return out, nil
	})
}

func TestLogins(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	stranger, _ := configtest.Key(t)
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	dir := configtest.New(t)
	dir.AddUser("key", "", key.PublicKey())
	dir.AddUser("password", "secret")
	dir.AddUser("either", "secret", key.PublicKey()).NotAfter = &future
	dir.AddUser("both", "secret", key.PublicKey()).Methods = []string{"PublicKey,Password"}
	dir.AddUser("expired", "secret", key.PublicKey()).NotAfter = &past
	dir.AddUser("near", "", key.PublicKey()).Keys[0].From = []string{"192.0.2.0/24", "::ffff:127.0.0.0/104"}
	dir.AddUser("far", "", key.PublicKey()).Keys[0].From = []string{"192.0.2.0/24", "::/0"}
	d := daemontest.Start(t, dir)

	withKey, withOther := ssh.PublicKeys(key), ssh.PublicKeys(stranger)
	secret, wrong := ssh.Password("secret"), ssh.Password("wrong")
	for _, tc := range []struct {
		name, user string
		methods    []ssh.AuthMethod
		reason     string // of the last refusal; "" for a login
	}{
		{"key", "key", []ssh.AuthMethod{withKey}, ""},
		{"right key after others", "key", []ssh.AuthMethod{ssh.PublicKeys(stranger, key)}, ""},
		{"wrong key", "key", []ssh.AuthMethod{withOther}, "key_not_registered"},
		{"password of a user without one", "key", []ssh.AuthMethod{secret}, "no_password"},
		{"password", "password", []ssh.AuthMethod{secret}, ""},
		{"keyboard-interactive", "password", []ssh.AuthMethod{answers("secret")}, ""},
		{"wrong password", "password", []ssh.AuthMethod{wrong}, "wrong_password"},
		{"empty password", "password", []ssh.AuthMethod{ssh.Password("")}, "wrong_password"},
		{"overlong password", "password", []ssh.AuthMethod{ssh.Password(strings.Repeat("x", 5000))}, "wrong_password"},
		{"wrong answer", "password", []ssh.AuthMethod{answers("wrong")}, "wrong_password"},
		{"either: key", "either", []ssh.AuthMethod{withKey}, ""},
		{"either: password", "either", []ssh.AuthMethod{secret}, ""},
		{"both: key, password", "both", []ssh.AuthMethod{withKey, secret}, ""},
		{"both: key, keyboard-interactive", "both", []ssh.AuthMethod{withKey, answers("secret")}, ""},
		{"both: key alone", "both", []ssh.AuthMethod{withKey}, "next_factor_missing"},
		{"both: password alone", "both", []ssh.AuthMethod{secret}, "key_required_first"},
		{"both: keyboard-interactive alone", "both", []ssh.AuthMethod{answers("secret")}, "key_required_first"},
		{"both: key, wrong password", "both", []ssh.AuthMethod{withKey, wrong}, "wrong_password"},
		{"both: wrong key, password", "both", []ssh.AuthMethod{withOther, secret}, "key_not_registered"},
		{"expired: key", "expired", []ssh.AuthMethod{withKey}, "user_expired"},
		{"expired: password", "expired", []ssh.AuthMethod{secret}, "user_expired"},
		{"unknown: key", "nobody", []ssh.AuthMethod{withKey}, "unknown_user"},
		{"unknown: password", "nobody", []ssh.AuthMethod{secret}, "unknown_user"},
		{"unknown: keyboard-interactive", "nobody", []ssh.AuthMethod{answers("secret")}, "unknown_user"},
		{"key from an allowed network", "near", []ssh.AuthMethod{withKey}, ""},
		{"key from another network", "far", []ssh.AuthMethod{withKey}, "source_not_allowed"},
		{"nothing offered", "key", nil, "login_abandoned"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(d.Audit(t, "login_refused"))
			c, err := d.Dial(tc.user, tc.methods...)
			if tc.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				daemontest.StillWorks(t, c)
				return
			}
			if err == nil {
				c.Close()
				t.Fatal("logged in")
			}
			d.WaitAudit(t, "login_refused", before+1)
			d.Eventually(t, "connection is over", func() bool {
				_, metrics := d.Get(t, "/metrics")
				return strings.Contains(metrics, "sftpd_connections 0\n")
			})
			refusals := d.Audit(t, "login_refused")
			last := refusals[len(refusals)-1]
			if last["reason"] != tc.reason || last["user"] != tc.user {
				t.Errorf("want %s, audit has %v", tc.reason, last)
			}
		})
	}
	if strings.Contains(d.RawAudit()+d.Log(), "secret\"") {
		t.Error("a password is in the logs")
	}
}

// TestMappedSource: on a dual-stack socket, IPv4 clients have IPv4-mapped IPv6 addresses.
func TestMappedSource(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey()).Keys[0].From = []string{"127.0.0.1/32"}
	d := daemontest.StartOn(t, dir, daemontest.Listen(t, "[::]:0"))
	_, port, err := net.SplitHostPort(d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	d.Addr = net.JoinHostPort("127.0.0.1", port)
	daemontest.StillWorks(t, d.MustDial(t, "ada", ssh.PublicKeys(key)))
	d.Addr = net.JoinHostPort("::1", port)
	if c, err := d.Dial("ada", ssh.PublicKeys(key)); err == nil {
		c.Close()
		t.Error("logged in from ::1")
	}
}

// TestRSASignatures: RSA keys log in with SHA-2 signatures only.
func TestRSASignatures(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := configtest.Signer(t, private)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	d := daemontest.Start(t, dir)
	for algorithm, ok := range map[string]bool{ssh.KeyAlgoRSASHA256: true, ssh.KeyAlgoRSASHA512: true, ssh.KeyAlgoRSA: false} {
		restricted, err := ssh.NewSignerWithAlgorithms(key.(ssh.AlgorithmSigner), []string{algorithm})
		if err != nil {
			t.Fatal(err)
		}
		c, err := d.Dial("ada", ssh.PublicKeys(restricted))
		if err == nil {
			c.Close()
		}
		if (err == nil) != ok {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}
