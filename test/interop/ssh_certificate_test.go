package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// authority is a CA as people usually have it: a key pair created by ssh-keygen.
type authority struct {
	file string
	key  ssh.PublicKey
}

func newAuthority(t *testing.T, keyType string) authority {
	t.Helper()
	a := authority{file: filepath.Join(t.TempDir(), "ca")}
	a.key = keygen(t, a.file, keyType)
	return a
}

// keygen creates a key pair in a file and the file next to it.
func keygen(t *testing.T, file, keyType string) ssh.PublicKey {
	t.Helper()
	run(t, exec.Command(tool(t, "ssh-keygen"), "-q", "-t", keyType, "-N", "", "-f", file))
	line, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certificate has the CA sign a key, and returns the options that make ssh use both.
func (a authority) certificate(t *testing.T, keyFile string, options ...string) []string {
	t.Helper()
	run(t, exec.Command(tool(t, "ssh-keygen"), slices.Concat([]string{"-q", "-s", a.file}, options, []string{keyFile + ".pub"})...))
	file := filepath.Join(t.TempDir(), "id-cert.pub")
	if err := os.Rename(keyFile+"-cert.pub", file); err != nil {
		t.Fatal(err)
	}
	return []string{"-i", keyFile, "-o", "CertificateFile=" + file, "-o", "IdentitiesOnly=yes"}
}

// TestOpenSSHCertificates: OpenSSH's client with certificates created by ssh-keygen. It does not offer a host certificate; that
// is in server.TestCertificates.
func TestOpenSSHCertificates(t *testing.T) {
	ca, rsaCA, other := newAuthority(t, "ed25519"), newAuthority(t, "rsa"), newAuthority(t, "ed25519")
	dir := configtest.New(t)
	dir.Listener.Authentication.TrustedUserCAs = []string{configtest.Line(ca.key), configtest.Line(rsaCA.key)}
	dir.AddUser("ada", "").Certificates = true
	dir.AddUser("plain", "secret")
	fingerprint := ssh.FingerprintSHA256(ca.key)
	dir.Listener.Revoked.Certificates = []config.RevokedCertificate{{CA: fingerprint, Serial: 66}, {CA: fingerprint, KeyID: "gone"}}
	o := newOpenSSH(t, dir)
	files := map[string]string{}
	for _, keyType := range []string{"ed25519", "ecdsa", "rsa"} {
		files[keyType] = filepath.Join(t.TempDir(), keyType)
		keygen(t, files[keyType], keyType)
	}
	me := func(more ...string) []string {
		return append([]string{"-I", "ada@corp", "-n", "ada", "-z", "7", "-V", "-1h:+1h"}, more...)
	}

	for _, tc := range []struct {
		name    string
		ca      authority
		user    string
		keyType string
		options []string
		reason  string // "" for a login
	}{
		{"Ed25519", ca, "ada", "ed25519", me(), ""},
		{"ECDSA", ca, "ada", "ecdsa", me(), ""},
		{"RSA", ca, "ada", "rsa", me(), ""},
		{"RSA of an RSA CA", rsaCA, "ada", "rsa", me(), ""},
		{"without an end", ca, "ada", "ed25519", me("-V", "always:forever"), ""},
		{"from here", ca, "ada", "ed25519", me("-O", "source-address=127.0.0.0/8"), ""},
		{"for SFTP alone", ca, "ada", "ed25519", me("-O", "clear", "-O", "force-command=internal-sftp"), ""},

		{"wrong principal", ca, "ada", "ed25519", me("-n", "bob"), "certificate_principal"},
		{"no principal", ca, "ada", "ed25519", []string{"-I", "ada@corp"}, "certificate_principal"},
		{"expired", ca, "ada", "ed25519", me("-V", "-2h:-1h"), "certificate_expired"},
		{"not yet valid", ca, "ada", "ed25519", me("-V", "+1h:+2h"), "certificate_not_yet_valid"},
		{"from elsewhere", ca, "ada", "ed25519", me("-O", "source-address=192.0.2.0/24"), "source_not_allowed"},
		{"another command", ca, "ada", "ed25519", me("-O", "force-command=/bin/sh"), "certificate_option"},
		{"unknown critical option", ca, "ada", "ed25519", me("-O", "critical:no-writes@example.com=1"), "certificate_option"},
		{"revoked serial", ca, "ada", "ed25519", me("-z", "66"), "certificate_revoked"},
		{"revoked key ID", ca, "ada", "ed25519", me("-I", "gone"), "certificate_revoked"},
		{"another CA", other, "ada", "ed25519", me(), "ca_not_trusted"},
		{"RSA CA with SHA-1", rsaCA, "ada", "ed25519", me("-t", "ssh-rsa"), "ca_not_allowed"},
		{"user without certificates", ca, "plain", "ed25519", me("-n", "plain"), "certificates_not_accepted"},
		{"unknown user", ca, "nobody", "ed25519", me("-n", "nobody"), "unknown_user"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			logins, refused := len(o.daemon.Audit(t, "login")), len(o.daemon.Audit(t, "login_refused"))
			identity := tc.ca.certificate(t, files[tc.keyType], tc.options...)
			r := o.run(t, "sftp", tc.user, "", batch, append(identity, "-b", "-"))
			event, n := "login", logins+1
			if tc.reason == "" {
				r.ok(t)
			} else {
				r.refused(t)
				event, n = "login_refused", refused+1
			}
			// The client may also offer the key without its certificate, and that line may arrive after the next command has begun.
			o.daemon.WaitAudit(t, event, n)
			o.daemon.Eventually(t, "audit log has the "+event+" "+tc.reason, func() bool {
				return slices.ContainsFunc(o.daemon.Audit(t, event)[n-1:], func(e map[string]any) bool {
					reason, _ := e["reason"].(string)
					return reason == tc.reason && e["certificate_ca"] == ssh.FingerprintSHA256(tc.ca.key)
				})
			})
		})
	}
}
