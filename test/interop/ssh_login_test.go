package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

const batch = "put /proc/version v\nget v /dev/null\nls -l\n"

func TestOpenSSHKeyTypes(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed := configtest.Key(t)
	pems := map[string][]byte{"ed25519": ed, "ecdsa": configtest.PEM(t, ec), "rsa": configtest.PEM(t, rsaKey)}
	dir := configtest.New(t)
	for name, pem := range pems {
		dir.AddUser(name, "", parse(t, pem).PublicKey())
	}
	o := newOpenSSH(t, dir)
	for name, pem := range pems {
		t.Run(name, func(t *testing.T) {
			o.run(t, "sftp", name, "", batch, append(o.identity(t, pem), "-b", "-")).ok(t)
			if _, err := os.Stat(filepath.Join(dir.Home(name), "v")); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("rsa with SHA-1 is refused", func(t *testing.T) {
		o.run(t, "sftp", "rsa", "", batch, append(o.identity(t, pems["rsa"]), "-b", "-", "-o", "PubkeyAcceptedAlgorithms=ssh-rsa")).refused(t)
	})
}

func TestOpenSSHMethods(t *testing.T) {
	key, pem := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("pw", "secret")
	dir.AddUser("both", "secret", key.PublicKey()).Methods = []string{"PublicKey,Password"}
	o := newOpenSSH(t, dir)
	id := o.identity(t, pem)
	only := func(method string) []string { return []string{"-o", "PreferredAuthentications=" + method} }

	for _, tc := range []struct {
		name, user, password string
		options              []string
		ok                   bool
	}{
		{"password", "pw", "secret", only("password"), true},
		{"keyboard-interactive", "pw", "secret", only("keyboard-interactive"), true},
		{"wrong password", "pw", "wrong", only("password"), false},
		{"wrong answer", "pw", "wrong", only("keyboard-interactive"), false},
		{"unknown user", "nobody", "secret", only("password"), false},
		{"unknown user with a key", "nobody", "", id, false},
		{"key and password", "both", "secret", id, true},
		{"key and keyboard-interactive", "both", "secret", slices.Concat(id, only("publickey,keyboard-interactive")), true},
		{"key and wrong password", "both", "wrong", id, false},
		{"key without password", "both", "", id, false},
		{"password without key", "both", "secret", only("password"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			options := append(slices.Clone(tc.options), "-b", "-")
			if tc.password != "" {
				// sftp -b turns BatchMode on, and the first value counts.
				options = append([]string{"-o", "BatchMode=no"}, options...)
			}
			r := o.run(t, "sftp", tc.user, tc.password, batch, options)
			if tc.ok {
				r.ok(t)
			} else {
				r.refused(t)
			}
		})
	}
	if strings.Contains(o.daemon.RawAudit()+o.daemon.Log(), "secret") {
		t.Error("a password is in the logs")
	}
}

// TestOpenSSHForeignHashes: passwords whose hashes come from elsewhere. crypt(3) of Debian 12 computed them from "correct
// horse".
func TestOpenSSHForeignHashes(t *testing.T) {
	dir := configtest.New(t)
	for user, hash := range map[string]string{
		"bcrypt": "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
		"sha512": "$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/",
	} {
		dir.AddUser(user, "").Password = &config.Password{Hash: hash}
	}
	o := newOpenSSH(t, dir)
	for _, user := range []string{"bcrypt", "sha512"} {
		for _, method := range []string{"password", "keyboard-interactive"} {
			options := []string{"-o", "BatchMode=no", "-o", "PreferredAuthentications=" + method, "-b", "-"}
			o.run(t, "sftp", user, "correct horse", batch, options).ok(t)
			o.run(t, "sftp", user, "correct horses", batch, options).refused(t)
		}
	}
}

func TestOpenSSHNothingButSFTP(t *testing.T) {
	key, pem := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	o := newOpenSSH(t, dir)
	id := o.identity(t, pem)
	for _, tc := range []struct {
		name    string
		options []string
		command []string
		stderr  string
	}{
		{"shell", nil, nil, "shell request failed"},
		{"terminal", []string{"-tt"}, nil, "PTY allocation request failed"},
		{"command", nil, []string{"id"}, "exec request failed"},
		{"other subsystem", []string{"-s"}, []string{"netconf"}, "subsystem request failed"},
		{"local forward to stdio", []string{"-W", "127.0.0.1:22"}, nil, "open failed"},
		{"remote forward", []string{"-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:22"}, nil, "remote port forwarding failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := o.run(t, "ssh", "ada", "", "", slices.Concat(id, tc.options), tc.command...)
			if r.err == nil || !strings.Contains(r.stderr, tc.stderr) {
				t.Errorf("want %q, have %v: %s", tc.stderr, r.err, r.stderr)
			}
		})
	}
	t.Run("environment is ignored", func(t *testing.T) {
		o.run(t, "sftp", "ada", "", batch, append(slices.Clone(id), "-b", "-", "-o", "SetEnv=A=b")).ok(t)
	})
}
