package interop

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// openSSH runs OpenSSH's clients against a daemon.
type openSSH struct {
	daemon *daemontest.Daemon
	known  string
	keys   string
}

func newOpenSSH(t *testing.T, dir *configtest.Dir) *openSSH {
	t.Helper()
	tool(t, "ssh")
	tool(t, "sftp")
	return knowing(t, daemontest.Start(t, dir), dir)
}

// knowing stores a daemon's host key as known.
func knowing(t *testing.T, daemon *daemontest.Daemon, dir *configtest.Dir) *openSSH {
	t.Helper()
	o := &openSSH{daemon: daemon, keys: t.TempDir()}
	host, err := ssh.ParsePrivateKey(dir.HostKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	o.known = filepath.Join(o.keys, "known_hosts")
	write(t, o.known, knownHost(o.daemon.Addr, host.PublicKey()))
	return o
}

// knownHost returns a line of a known_hosts file.
func knownHost(addr string, key ssh.PublicKey) string {
	return knownhosts.Line([]string{knownhosts.Normalize(addr)}, key) + "\n"
}

// identity stores a private key and returns the options that make ssh use only that key.
func (o *openSSH) identity(t *testing.T, pem []byte) []string {
	t.Helper()
	file := filepath.Join(o.keys, "id")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-i", file, "-o", "IdentitiesOnly=yes"}
}

type result struct {
	stdout, stderr string
	err            error
}

// run runs ssh or sftp as a user. sshpass types the password. stdin is the input.
func (o *openSSH) run(t *testing.T, program, user, password, input string, options []string, after ...string) result {
	t.Helper()
	args := []string{program, "-o", "NumberOfPasswordPrompts=1"}
	if password != "" {
		tool(t, "sshpass")
		args = append([]string{"sshpass", "-p", password}, args...)
	} else {
		args = append(args, "-o", "BatchMode=yes")
	}
	return o.execute(t, user, input, nil, append(args, options...), after...)
}

// execute runs a command that begins with args, against the daemon.
func (o *openSSH) execute(t *testing.T, user, input string, env, args []string, after ...string) result {
	t.Helper()
	host, port, err := net.SplitHostPort(o.daemon.Addr)
	if err != nil {
		t.Fatal(err)
	}
	args = append(args, "-F", "none", "-o", "Port="+port, "-o", "UserKnownHostsFile="+o.known,
		"-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "IdentityAgent=none",
		"-o", "ConnectTimeout=60", user+"@"+host)
	args = append(args, after...)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), "HOME="+o.keys, "SSH_AUTH_SOCK="), env...)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return result{stdout.String(), stderr.String(), err}
}

func (r result) ok(t *testing.T) {
	t.Helper()
	if r.err != nil {
		t.Fatalf("%v\nstdout: %s\nstderr: %s", r.err, r.stdout, r.stderr)
	}
}

// askedTwice is sshpass's exit code when the client asks for the password again.
const askedTwice = 5

func (r result) refused(t *testing.T) {
	t.Helper()
	var exit *exec.ExitError
	if errors.As(r.err, &exit) && exit.ExitCode() == askedTwice {
		return
	}
	if r.err == nil || !strings.Contains(r.stderr, "Permission denied") && !strings.Contains(r.stderr, "Too many authentication failures") {
		t.Fatalf("want a refused login, got %v\nstderr: %s", r.err, r.stderr)
	}
}
