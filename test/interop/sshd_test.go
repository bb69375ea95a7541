package interop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// tenant is the Unix user and group that run the scenario on both sides. It is in no passwd file.
const tenant = 12345

// sshdPath finds OpenSSH's server: that of the Debian package openssh-server, or the one that hack/install-packages.sh
// extracted from it, because installing the package would start it.
func sshdPath(t *testing.T) string {
	t.Helper()
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"/", filepath.Join(cache, "openssh-server")} {
		program := filepath.Join(root, "usr/sbin/sshd")
		if _, err := os.Stat(program); err == nil {
			return program
		}
	}
	missing(t, "/usr/sbin/sshd (Debian: openssh-server)")
	return ""
}

// sshdSetup runs as root in its own mount namespace. sshd requires a user "sshd", a directory /run/sshd, and a root directory
// for its user below directories that only root can write to, which /tmp is not. Nothing of this is visible outside.
const sshdSetup = `set -e
umask 022
mount --make-rprivate /
mount -t tmpfs -o mode=0755 none /run
mkdir /run/sshd /run/root
mount --bind "$TREE" /run/root
cp -- "$FILES/passwd" "$FILES/authorized_keys" /run
mount --bind /run/passwd /etc/passwd
exec "$SSHD" -i -e -f "$FILES/sshd_config"
`

const sshdConfig = `HostKey %[1]s/host_key
AuthorizedKeysFile /run/authorized_keys
AuthenticationMethods publickey
UsePAM no
PrintMotd no
Subsystem sftp internal-sftp
ForceCommand internal-sftp
ChrootDirectory /run/root
`

// sshdOptions returns additional lines of sshd_config, given the directory that it is in.
type sshdOptions func(t *testing.T, files string) string

// startSSHD serves the tree to the user ada, who has the key, with OpenSSH's internal-sftp, jailed by ChrootDirectory. A
// process is started for each connection, as with inetd, so that no free port has to be guessed. It returns the address and the
// host key.
func startSSHD(t *testing.T, tree string, key ssh.PublicKey, options ...sshdOptions) (addr string, hostKey ssh.PublicKey) {
	t.Helper()
	sshd, files := sshdPath(t), t.TempDir()
	signer, pem := configtest.Key(t)
	write(t, filepath.Join(files, "host_key"), string(pem))
	write(t, filepath.Join(files, "authorized_keys"), configtest.Line(key)+"\n")
	lines := fmt.Sprintf(sshdConfig, files)
	for _, more := range options {
		lines = more(t, files) + lines
	}
	write(t, filepath.Join(files, "sshd_config"), lines)
	write(t, filepath.Join(files, "passwd"), fmt.Sprintf(
		"root:*:0:0::/:/bin/sh\nsshd:*:12346:12346::/run/sshd:/bin/false\nada:*:%[1]d:%[1]d::/:/bin/sh\n", tenant))
	for _, name := range []string{"authorized_keys", "passwd"} {
		if err := os.Chmod(filepath.Join(files, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	listener := daemontest.Listen(t, "127.0.0.1:0")
	env := append(os.Environ(), "SSHD="+sshd, "FILES="+files, "TREE="+tree)
	var log lockedLog
	var serving sync.WaitGroup
	done := make(chan struct{})
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { log.add(serveSSHD(conn, env, done)) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		close(done)
		serving.Wait()
		if t.Failed() {
			t.Logf("sshd: %s", log.String())
		}
	})
	return listener.Addr().String(), signer.PublicKey()
}

// serveSSHD runs an sshd for one connection, which is its standard input and output, and returns its log. When done is closed,
// or the tests are killed, the first process of the process namespace is killed, and all others in it with it.
func serveSSHD(conn net.Conn, env []string, done <-chan struct{}) string {
	// The kernel sends the signal when the thread that started the process ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	file, err := conn.(*net.TCPConn).File()
	conn.Close()
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	cmd := exec.Command("sh", "-c", sshdSetup)
	cmd.Env, cmd.Stdin, cmd.Stdout = env, file, file
	var log strings.Builder
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-done:
			_ = cmd.Process.Kill() // it may have ended
		case <-ended:
		}
	}()
	err = cmd.Wait()
	close(ended)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return log.String() + err.Error()
	}
	return log.String()
}

// lockedLog collects the output of processes.
type lockedLog struct {
	sync.Mutex
	text strings.Builder
}

func (l *lockedLog) add(text string) {
	l.Lock()
	defer l.Unlock()
	l.text.WriteString(text)
}

func (l *lockedLog) String() string {
	l.Lock()
	defer l.Unlock()
	return l.text.String()
}

// startAsTenant serves the tree with our daemon, to the same user and as the same Unix user.
func startAsTenant(t *testing.T, tree string, key ssh.PublicKey) (addr string, hostKey ssh.PublicKey) {
	t.Helper()
	dir := configtest.New(t)
	dir.Listener.Volumes[0].Path = filepath.Dir(tree)
	dir.AddUser("ada", "", key).Mounts[0].SubPath = filepath.Base(tree)
	// Test directories are accessible to root only.
	for _, private := range []string{filepath.Dir(dir.Path), filepath.Dir(server)} {
		if err := os.Chmod(private, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	id, wrapper := strconv.Itoa(tenant), filepath.Join(t.TempDir(), "server")
	text := "#!/bin/sh\nset -e\numask 022\nchown -R " + id + " " + dir.Path +
		"\nexec setpriv --reuid=" + id + " --regid=" + id + " --clear-groups " + server + ` "$@"` + "\n"
	if err := os.WriteFile(wrapper, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	d := daemontest.StartProgram(t, dir, wrapper)
	return d.Addr, parse(t, dir.HostKeys[0]).PublicKey()
}
