package interop

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// account is how a client logs in, and where its files are on both sides.
type account struct {
	host, port, user string
	// key is a private key file in OpenSSH's format. It is empty if the client logs in with the password; otherwise the password
	// is empty.
	key, password string
	// hostKey is the daemon's host key. The file known contains it in OpenSSH's format, and so does .ssh/known_hosts in
	// clientHome, which is HOME for the client.
	hostKey           ssh.PublicKey
	known, clientHome string
	// local is the client's working directory, and remote is the user's home as seen by the server.
	local, remote string
	// dropBox is the account of another user with the same key, whose home is read-only except for /records, which is CreateOnly
	// as in config/samples/dropbox.yaml. It is set only for the account with the key, which all rows use.
	dropBox *account
}

const (
	secret      = "secret-of-ada"
	dropBoxUser = "box"
)

// newAccounts starts a daemon with one user, and returns how to log in as that user with a key, with the password, and with the
// key but with a host key other than the daemon's.
func newAccounts(t *testing.T, edit ...func(*configtest.Dir)) (o *openSSH, key, password, stranger *account) {
	t.Helper()
	return newAccountsWith(t, configtest.Key, edit...)
}

// newAccountsWith is like newAccounts, with keys of a different type.
func newAccountsWith(t *testing.T, newKey func(testing.TB) (ssh.Signer, []byte), edit ...func(*configtest.Dir)) (
	o *openSSH, key, password, stranger *account,
) {
	t.Helper()
	signer, pem := newKey(t)
	dir := configtest.New(t)
	_, hostKey := newKey(t)
	dir.HostKeys = [][]byte{hostKey}
	// rclone keeps its connections open, and the daemon may not notice at once that a process has ended.
	dir.Listener.Limits.MaxConnectionsPerUser = dir.Listener.Limits.MaxConnections
	dir.AddUser("ada", secret, signer.PublicKey())
	dir.AddUser(dropBoxUser, "", signer.PublicKey()).Mounts = []config.Mount{
		{Path: "/", Volume: "data", SubPath: dropBoxUser + "/home", Access: config.ReadOnly},
		{Path: "/records", Volume: "data", SubPath: dropBoxUser + "/records", Access: config.CreateOnly, ListNames: true},
	}
	for _, change := range edit {
		change(dir)
	}
	// The race detector slows down the transfer of gigabytes, and finds nothing that shorter tests of the daemon do not find.
	o = knowing(t, daemontest.StartProgram(t, dir, server), dir)
	host, port, err := net.SplitHostPort(o.daemon.Addr)
	if err != nil {
		t.Fatal(err)
	}
	newAccount := func(hostKey ssh.PublicKey) *account {
		a := &account{
			host: host, port: port, user: "ada", hostKey: hostKey, clientHome: t.TempDir(), local: t.TempDir(), remote: dir.Home("ada"),
		}
		a.known = filepath.Join(a.clientHome, ".ssh/known_hosts")
		write(t, a.known, knownHost(o.daemon.Addr, hostKey))
		return a
	}
	daemons := parse(t, dir.HostKeys[0]).PublicKey()
	key, password = newAccount(daemons), newAccount(daemons)
	key.key, password.password = o.identity(t, pem)[1], secret
	other, _ := newKey(t)
	stranger = newAccount(other.PublicKey())
	stranger.key = key.key
	key.dropBox = newAccount(daemons)
	key.dropBox.user, key.dropBox.remote, key.dropBox.key = dropBoxUser, dir.Home(dropBoxUser), key.key
	return o, key, password, stranger
}

// patience is how long a client may take for one command. It is not a measurement.
const patience = 2 * time.Minute

// run runs a client in the local directory and returns its standard output. If the client fails, the error contains everything
// it wrote.
func (a *account) run(input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := a.command(ctx, args...)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\nstdout: %s\nstderr: %s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.String(), nil
}

// do is like run, without the output.
func (a *account) do(input string, args ...string) error {
	_, err := a.run(input, args...)
	return err
}

// command returns a command with the client's HOME, and nothing else from the environment of the test.
func (a *account) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = time.Second // lftp's ssh may outlive it and keep its output open
	cmd.Dir = a.local
	cmd.Env = append(os.Environ(), "HOME="+a.clientHome, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_CACHE_HOME=",
		"PUTTYDIR="+filepath.Join(a.clientHome, "putty"), "SSH_AUTH_SOCK=", "LC_ALL=C.UTF-8")
	return cmd
}

// ssh returns the command line of an ssh that logs in. Its words contain no spaces.
func (a *account) ssh() string {
	options := " -F none -a -x -p " + a.port + " -o StrictHostKeyChecking=yes -o UserKnownHostsFile=" + a.known +
		" -o GlobalKnownHostsFile=/dev/null -o ConnectTimeout=30 -o IdentitiesOnly=yes -o NumberOfPasswordPrompts=1"
	if a.password != "" {
		return "sshpass -p " + a.password + " ssh" + options + " -o PreferredAuthentications=password"
	}
	return "ssh" + options + " -o BatchMode=yes -i " + a.key
}

// at returns the place of a virtual path on the server, and here that of a relative path on the client.
func (a *account) at(name string) string { return filepath.Join(a.remote, name) }

func (a *account) here(name string) string { return filepath.Join(a.local, name) }
