package interop

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestFIPS runs TestInFIPSMode again in Go's FIPS 140-3 mode, which is selected when a process starts.
func TestFIPS(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestInFIPSMode$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=on")
	out := run(t, cmd)
	if !strings.Contains(out, "--- PASS: TestInFIPSMode/Ed25519") {
		t.Errorf("it did not run:\n%s", out)
	}
}

// TestInFIPSMode: in FIPS mode, x/crypto supports everything that Fips2026 offers, and logins by key and by password work.
// (Passwords are still verified with argon2id, which FIPS 140 does not include: the mode does not affect it, because it is
// outside of Go's module.)
func TestInFIPSMode(t *testing.T) {
	if !fips140.Enabled() {
		return // TestFIPS runs it
	}
	p, err := cryptopolicy.Lookup(cryptopolicy.Fips2026)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{hostEd25519, hostECDSA, hostRSA} {
		t.Run(kind, func(t *testing.T) {
			key, _ := configtest.Key(t)
			dir := withPolicy(t, p.Name, kind)
			dir.AddUser("ada", "secret-of-ada", key.PublicKey())
			d := daemontest.Start(t, dir)
			_, lists := daemontest.KexInit(t, d.Addr)
			kex := append(slices.Clone(p.KeyExchanges), "kex-strict-s-v00@openssh.com")
			if !slices.Equal(lists[0], kex) || !slices.Equal(lists[2], p.Ciphers) || !slices.Equal(lists[4], p.MACs) {
				t.Errorf("offered: %v", lists)
			}
			for _, exchange := range p.KeyExchanges {
				for _, auth := range []ssh.AuthMethod{ssh.PublicKeys(key), ssh.Password("secret-of-ada")} {
					c := &ssh.ClientConfig{
						User: "ada", Auth: []ssh.AuthMethod{auth}, Timeout: 20 * time.Second,
						HostKeyCallback: ssh.InsecureIgnoreHostKey(),
					}
					c.KeyExchanges = []string{exchange}
					client, err := ssh.Dial("tcp", d.Addr, c)
					if err != nil {
						t.Errorf("%s: %v", exchange, err)
						continue
					}
					client.Close()
				}
			}
		})
	}
}
