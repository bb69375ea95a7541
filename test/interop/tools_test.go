package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// server is the daemon's program, built once for all tests. Its stdio mode replaces sftp-server.
var server string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		panic(err)
	}
	server = filepath.Join(dir, "sftpd")
	build := exec.Command("go", "build", "-o", server, "../../cmd/sftpd")
	if out, err := build.CombinedOutput(); err != nil {
		panic("building sftpd: " + string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.RemoveAll(fixtures.dir)
	os.Exit(code)
}

// packages names the Debian package of a program where the names differ. hack/install-packages.sh installs them all.
var packages = map[string]string{
	"fusermount3": "fuse3", "java": "default-jdk-headless", "javac": "default-jdk-headless", "php": "php-cli", "psftp": "putty-tools", "puttygen": "putty-tools", "/usr/bin/python3": "python3",
	"sftp": "openssh-client", "ssh": "openssh-client", "ssh-keygen": "openssh-client",
}

// modules maps a package with a module of a language to a command that succeeds, and does nothing, if it is installed.
var modules = map[string][]string{
	"python3-paramiko":         {python, "-c", "import paramiko"},
	"python3-asyncssh":         {python, "-c", "import asyncssh"},
	"php-phpseclib3":           {"php", "-r", "require 'phpseclib3/autoload.php';"},
	"ruby-net-sftp":            {"ruby", "-e", "require 'net/sftp'"},
	"ruby-ed25519":             {"ruby", "-e", "require 'ed25519'"},
	"ruby-bcrypt-pbkdf":        {"ruby", "-e", "require 'bcrypt_pbkdf'"},
	"libnet-sftp-foreign-perl": {"perl", "-MNet::SFTP::Foreign", "-e", "1"},
	"libio-pty-perl":           {"perl", "-MIO::Pty", "-e", "1"},
}

// missing skips the test, or fails it in CI, where everything must run.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, and CI=true; hack/install-packages.sh installs what the tests need", what)
	}
	t.Skipf("%s is missing; hack/install-packages.sh installs what the tests need", what)
}

// tool returns the path of a program.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		pkg, ok := packages[name]
		if !ok {
			pkg = name
		}
		missing(t, name+" (Debian: "+pkg+")")
	}
	return path
}

// need is like tool, but also covers things that are not programs.
func need(t *testing.T, name string) {
	t.Helper()
	switch name {
	case "/dev/fuse":
		exists(t, name, name)
	case "fzsftp":
		exists(t, fzsftpPath(), "fzsftp (of the Debian package filezilla)")
	case "npm ssh2":
		exists(t, filepath.Join(nodePackages(), "node_modules/ssh2-sftp-client"), "ssh2-sftp-client (npm)")
	case "libjsch-java":
		exists(t, jschJar, name)
	case "libssh-dev":
		exists(t, "/usr/include/libssh/sftp.h", name)
	default:
		words, isModule := modules[name]
		if !isModule {
			tool(t, name)
		} else if exec.CommandContext(t.Context(), words[0], words[1:]...).Run() != nil {
			missing(t, "a module (Debian: "+name+")")
		}
	}
}

func exists(t *testing.T, file, what string) {
	t.Helper()
	if _, err := os.Stat(file); err != nil {
		missing(t, what)
	}
}

// cacheDir returns where hack/install-packages.sh unpacks what it does not install.
func cacheDir() (string, error) {
	if dir := os.Getenv("SFTP_OPERATOR_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "sftp-operator"), err
}

// run executes a program and returns all of its output.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}
