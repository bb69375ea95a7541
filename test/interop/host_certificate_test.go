package interop

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// hostCertificate has the CA certify the host key in a file, using ssh-keygen.
func (a authority) hostCertificate(t *testing.T, keyFile string, options ...string) string {
	t.Helper()
	run(t, exec.Command(tool(t, "ssh-keygen"), slices.Concat([]string{"-q", "-s", a.file, "-h", "-I", "host"}, options, []string{keyFile + ".pub"})...))
	return strings.TrimSpace(read(t, keyFile+"-cert.pub"))
}

// TestHostCertificates: OpenSSH's client with @cert-authority in its known_hosts, and certificates created by ssh-keygen. A
// certificate that is for another host, or is not currently valid, does not keep out a client that knows the plain key.
func TestHostCertificates(t *testing.T) {
	key, id := configtest.Key(t)
	ca, other := newAuthority(t, "ed25519"), newAuthority(t, "ecdsa")
	rsaCA := newAuthority(t, "rsa")
	const here = "127.0.0.1"
	now := []string{"-n", here, "-V", "-1h:+1h"}
	for _, tc := range []struct {
		name    string
		ca      authority
		keyType string
		options []string
		// trusted logs in a client that knows only the CA.
		trusted bool
		offered bool
	}{
		{"Ed25519", ca, "ed25519", now, true, true},
		{"ECDSA", ca, "ecdsa", now, true, true},
		{"RSA", ca, "rsa", now, true, true},
		{"RSA of an RSA CA", rsaCA, "rsa", now, true, true},
		{"without an end", ca, "ed25519", []string{"-n", here, "-V", "always:forever"}, true, true},
		{"another host", ca, "ed25519", []string{"-n", "files.example.com", "-V", "-1h:+1h"}, false, true},
		{"another CA", other, "ed25519", now, false, true},
		{"expired", ca, "ed25519", []string{"-n", here, "-V", "-2h:-1h"}, false, false},
		{"not yet valid", ca, "ecdsa", []string{"-n", here, "-V", "+1h:+2h"}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := configtest.New(t)
			dir.AddUser("ada", "", key.PublicKey())
			file := filepath.Join(t.TempDir(), "host")
			keygen(t, file, tc.keyType)
			dir.HostKeys = [][]byte{[]byte(read(t, file))}
			dir.Listener.HostKeys = []config.HostKey{{Certificate: tc.ca.hostCertificate(t, file, tc.options...)}}
			o := newOpenSSH(t, dir)
			known := read(t, o.known)
			trust := "@cert-authority " + knownHost(o.daemon.Addr, ca.key) + "@cert-authority " + knownHost(o.daemon.Addr, rsaCA.key)
			identity := append(o.identity(t, id), "-v", "-b", "-")

			write(t, o.known, trust)
			r := o.run(t, "sftp", "ada", "", batch, identity)
			if tc.trusted {
				r.ok(t)
			} else if r.err == nil || !strings.Contains(r.stderr, "Host key verification failed") {
				t.Errorf("a client that knows only the CA: %v\n%s", r.err, r.stderr)
			}
			if got := strings.Contains(r.stderr, "Server host certificate: "); got != tc.offered {
				t.Errorf("offered a certificate: %v, want %v\n%s", got, tc.offered, r.stderr)
			}
			write(t, o.known, trust+known)
			o.run(t, "sftp", "ada", "", batch, identity).ok(t)
			write(t, o.known, known)
			o.run(t, "sftp", "ada", "", batch, identity).ok(t)
		})
	}
}

// TestGoClientsAndHostCertificates: the documentation warns about these. A client based on golang.org/x/crypto/ssh prefers
// certificates and does not fall back to the plain key, unless it specifies its algorithms, as a client that knows a key does.
func TestGoClientsAndHostCertificates(t *testing.T) {
	key, _ := configtest.Key(t)
	ca, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	host := parse(t, dir.HostKeys[0])
	dir.Listener.HostKeys = []config.HostKey{{Certificate: configtest.Line(configtest.Certificate(t, ca, ssh.HostCert, host.PublicKey(), "127.0.0.1"))}}
	o := newOpenSSH(t, dir)
	callback, err := knownhosts.New(o.known)
	if err != nil {
		t.Fatal(err)
	}
	c := &ssh.ClientConfig{User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: callback, Timeout: 20 * time.Second}
	if _, err := ssh.Dial("tcp", o.daemon.Addr, c); err == nil || !strings.Contains(err.Error(), "no authorities") {
		t.Errorf("with a certificate that it does not trust: %v", err)
	}
	c.HostKeyAlgorithms = []string{ssh.KeyAlgoED25519}
	client, err := ssh.Dial("tcp", o.daemon.Addr, c)
	if err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
}

// hostCertificateRow is the row for a defect.
const hostCertificateRow = "log in where the host key has a certificate, knowing the plain key"

// certifiedHost has sshd present a certificate of its host key, from a CA that no client knows.
func certifiedHost(t *testing.T, files string) string {
	t.Helper()
	host, ca := parse(t, []byte(read(t, filepath.Join(files, "host_key")))).PublicKey(), newAuthority(t, "ed25519")
	write(t, filepath.Join(files, "host.pub"), configtest.Line(host)+"\n")
	ca.hostCertificate(t, filepath.Join(files, "host"), "-n", "127.0.0.1")
	return "HostCertificate " + filepath.Join(files, "host-cert.pub") + "\n"
}

// TestClientsMeetHostCertificates: the clients of the table know an endpoint's plain key, but not the CA of its certificate.
// All of them continue with the plain key, except clients with the defect that the documentation warns about, which continue only
// if they know the CA.
func TestClientsMeetHostCertificates(t *testing.T) {
	for _, d := range drivers() {
		t.Run(d.name, func(t *testing.T) {
			for _, program := range d.tools {
				need(t, program)
			}
			ca, _ := configtest.Key(t)
			o, a, _, _ := newAccountsWith(t, d.keys(), func(dir *configtest.Dir) {
				host := parse(t, dir.HostKeys[0]).PublicKey()
				dir.Listener.HostKeys = []config.HostKey{{Certificate: configtest.Line(configtest.Certificate(t, ca, ssh.HostCert, host, "127.0.0.1"))}}
			})
			if d.setUp != nil {
				must(t, d.setUp(a))
			}
			c := &client{d, a, hostCertificateRow}
			write(t, c.here("hello"), "hello")
			err := c.copy.put(a, pair{"hello", "/hello"})
			if err != nil {
				c.judge(t, err, func() { gone(t, c.at("hello")) })
				write(t, a.known, read(t, a.known)+"@cert-authority "+knownHost(o.daemon.Addr, ca.PublicKey()))
				err = c.copy.put(a, pair{"hello", "/hello"})
			}
			must(t, err)
			holds(t, a.at("hello"), "hello")
			t.Logf("by %v", o.daemon.WaitAudit(t, "login", 1)["host_key_algorithm"])
			c.notSeen(t)
		})
	}
}
