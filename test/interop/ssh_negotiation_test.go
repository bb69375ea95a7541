package interop

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

func parse(t *testing.T, pem []byte) ssh.Signer {
	t.Helper()
	s, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// clientHas reports whether the installed client supports an algorithm (ssh -Q).
func clientHas(t *testing.T, kind, algorithm string) bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ssh", "-Q", kind).Output()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(strings.Fields(string(out)), algorithm)
}

func TestOpenSSHNegotiation(t *testing.T) {
	key, pem := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	o := newOpenSSH(t, dir)
	id := append(o.identity(t, pem), "-b", "-", "-v")

	t.Run("best key exchange that both have", func(t *testing.T) {
		want := "mlkem768x25519-sha256"
		if !clientHas(t, "kex", want) {
			want = "curve25519-sha256"
		}
		r := o.run(t, "sftp", "ada", "", batch, id)
		r.ok(t)
		if !strings.Contains(r.stderr, "kex: algorithm: "+want) {
			t.Errorf("no %s in:\n%s", want, r.stderr)
		}
		if !strings.Contains(r.stderr, "remote software version sftpd") || !strings.Contains(r.stderr, "no match: sftpd") {
			t.Errorf("the client mistakes the server for a different one:\n%s", r.stderr)
		}
	})
	t.Run("server-sig-algs", func(t *testing.T) {
		r := o.run(t, "sftp", "ada", "", batch, id)
		_, list, found := strings.Cut(r.stderr, "server-sig-algs=<")
		list, _, _ = strings.Cut(list, ">")
		if !found || !strings.Contains(list, "rsa-sha2-512") || !strings.Contains(list, "sk-ssh-ed25519@openssh.com") {
			t.Errorf("server-sig-algs: %q", list)
		}
		for name := range strings.SplitSeq(list, ",") {
			if name == "ssh-rsa" || name == "ssh-dss" {
				t.Errorf("%s is offered", name)
			}
		}
	})
	for _, tc := range []struct {
		option string
		ok     bool
	}{
		{"KexAlgorithms=diffie-hellman-group16-sha512", true},
		{"KexAlgorithms=diffie-hellman-group-exchange-sha256", true},
		{"KexAlgorithms=curve25519-sha256@libssh.org", true},
		{"KexAlgorithms=diffie-hellman-group14-sha1", false},
		{"KexAlgorithms=ecdh-sha2-nistp256", false},
		{"Ciphers=chacha20-poly1305@openssh.com", true},
		{"Ciphers=aes256-gcm@openssh.com", true},
		{"Ciphers=aes128-cbc", false},
		{"Ciphers=3des-cbc", false},
		{"MACs=hmac-sha1", false},
		{"MACs=hmac-sha2-256", true},
		{"HostKeyAlgorithms=ssh-rsa", false},
	} {
		t.Run(tc.option, func(t *testing.T) {
			options := append(slices.Clone(id), "-o", tc.option)
			if strings.HasPrefix(tc.option, "MACs=") {
				options = append(options, "-o", "Ciphers=aes256-ctr")
			}
			r := o.run(t, "sftp", "ada", "", batch, options)
			if tc.ok {
				r.ok(t)
			} else if r.err == nil || !strings.Contains(r.stderr, "no matching") {
				t.Errorf("want no common algorithm, got %v: %s", r.err, r.stderr)
			}
		})
	}
	refused := o.daemon.WaitAudit(t, "connection_refused", 1)
	if refused["reason"] != "no_common_algorithm" || !strings.Contains(refused["detail"].(string), "diffie-hellman-group14-sha1") {
		t.Errorf("audit: %v", refused)
	}
}
