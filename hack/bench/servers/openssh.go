package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// OpenSSH is the label of Debian's OpenSSH server.
const OpenSSH = "OpenSSH"

// sshd is one of several OpenSSH servers.
type sshd struct {
	*Place
	label, program, sftpServer string
}

// file returns the path of one of the server's own files.
func (s *sshd) file(name string) string { return s.path(s.label + "-" + name) }

// sshdConfig is Debian's except for PAM, which would add to the cost of each login, and limits that must not be
// reached.
const sshdConfig = `ListenAddress %s
HostKey %s
AuthorizedKeysFile %s
PidFile none
StrictModes no
UsePAM no
X11Forwarding no
PrintMotd no
MaxStartups 100000:100:100000
LoginGraceTime 120
Subsystem sftp %s
`

// enter gives sshd, in its own mount namespace, a user that does not exist on the machine and the directory that it
// requires. Whatever happens, none of that is left behind.
const enter = `set -e
mount --bind "$1" /etc/passwd
mount --bind "$2" /etc/shadow
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
shift 2
exec "$@"`

// Sshd prepares the OpenSSH server of this machine.
func Sshd(p *Place) (*Server, error) {
	program, err := findSshd()
	if err != nil {
		return nil, err
	}
	return (&sshd{p, OpenSSH, program, "/usr/lib/openssh/sftp-server"}).prepare()
}

// SshdIn prepares an OpenSSH server that was built from source and installed under prefix.
func SshdIn(p *Place, label, prefix string) (*Server, error) {
	// It runs as the user, who may not be able to read the prefix.
	sftpServer, err := p.Install(filepath.Join(prefix, "libexec/sftp-server"))
	if err != nil {
		return nil, err
	}
	return (&sshd{p, label, filepath.Join(prefix, "sbin/sshd"), sftpServer}).prepare()
}

func (s *sshd) prepare() (*Server, error) {
	group, err := s.group(s.label)
	if err != nil {
		return nil, err
	}
	root, err := s.root(s.label)
	if err != nil {
		return nil, err
	}
	addr, err := s.FreePort()
	if err != nil {
		return nil, err
	}
	if err := s.writeConfig(addr); err != nil {
		return nil, err
	}
	hash, err := s.writeAccounts()
	if err != nil {
		return nil, err
	}
	proc := &process{group: group, log: s.file("log")}
	return &Server{
		Label: s.label, Addr: addr, User: userName, Key: s.Key, KeyFile: s.KeyFile(), Password: password, PasswordHash: hash,
		// It has no separate tree for the user: paths are the machine's.
		Root: root, Remote: root, Group: group, MaxIdle: 1000, knownHosts: s.file("known_hosts"),
		start: proc.run(func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, "/bin/sh", "-c", enter, "sh", s.file("passwd"), s.file("shadow"),
				s.program, "-D", "-e", "-f", s.file("config"))
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
			return cmd
		}),
		stop: proc.stop,
	}, nil
}

// findSshd returns the installed sshd, or that of the unpacked package.
func findSshd() (string, error) {
	cache := os.Getenv("SFTP_OPERATOR_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(user, "sftp-operator")
	}
	for _, file := range []string{"/usr/sbin/sshd", filepath.Join(cache, "openssh-server/usr/sbin/sshd")} {
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", errors.New("OpenSSH's server is not installed; run hack/install-packages.sh")
}

func (s *sshd) writeConfig(addr string) error {
	if _, err := makeKey(s.file("host_key")); err != nil {
		return err
	}
	if err := os.WriteFile(s.file("authorized_keys"), []byte(authorizedKey(s.Key.PublicKey())+"\n"), 0o644); err != nil {
		return err
	}
	content, err := os.ReadFile(s.program)
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, sshdConfig, addr, s.file("host_key"), s.file("authorized_keys"), s.sftpServer)
	if bytes.Contains(content, []byte("persourcepenalties")) { // since 9.8
		text.WriteString("PerSourcePenalties no\n")
	}
	// Newer releases consist of several programs. A copy outside of the directory it was built for needs the paths of the
	// others.
	for name, option := range map[string]string{"sshd-session": "SshdSessionPath", "sshd-auth": "SshdAuthPath"} {
		for _, dir := range []string{"../lib/openssh", "../libexec"} {
			if file := filepath.Join(filepath.Dir(s.program), dir, name); exists(file) {
				fmt.Fprintln(&text, option, file)
			}
		}
	}
	return os.WriteFile(s.file("config"), []byte(text.String()), 0o600)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// writeAccounts writes copies of passwd and shadow with the user, and the user that sshd runs as before a login. It returns the
// kind of password hash: the one that Debian uses.
func (s *sshd) writeAccounts() (string, error) {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return "", err
	}
	lines := string(bytes.TrimSuffix(passwd, []byte("\n"))) +
		fmt.Sprintf("\n%s:x:%d:%d::%s:/bin/bash\n", userName, userID, userID, s.path("home"))
	if !strings.Contains(lines, "\nsshd:") {
		lines += "sshd:x:61998:65534::/run/sshd:/usr/sbin/nologin\n"
	}
	if err := os.WriteFile(s.file("passwd"), []byte(lines), 0o644); err != nil {
		return "", err
	}
	// Perl is part of every Debian and has crypt(3). The salt need not be secret or unique.
	hash, err := exec.Command("perl", "-e", `print crypt($ARGV[0], '$y$j9T$benchmarkofsftp0$')`, password).Output()
	if err != nil || !bytes.HasPrefix(hash, []byte("$y$")) {
		return "", fmt.Errorf("crypt(3) has no yescrypt: %q, %w", hash, err)
	}
	shadow := fmt.Sprintf("root:*:19000:0:99999:7:::\n%s:%s:19000:0:99999:7:::\n", userName, hash)
	return "yescrypt", os.WriteFile(s.file("shadow"), []byte(shadow), 0o600)
}
