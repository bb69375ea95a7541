package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// regressDir finds OpenSSH's own tests: those of the Debian package openssh-tests, or those that hack/install-packages.sh
// extracted from it.
func regressDir(t *testing.T) string {
	t.Helper()
	const packaged = "usr/lib/openssh/regress"
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"/", filepath.Join(cache, "openssh-tests")} {
		dir := filepath.Join(root, packaged)
		if _, err := os.Stat(filepath.Join(dir, "test-exec.sh")); err == nil {
			return dir
		}
	}
	missing(t, "/"+packaged+" (Debian: openssh-tests)")
	return ""
}

// openSSHScripts lists the scripts that are run; openSSHScriptsNotRun lists the others, with the reasons. OpenSSH 10 also has
// sftp-resume, which needs its client; resuming is a row of the table of clients.
var (
	openSSHScripts       = []string{"sftp", "sftp-cmds", "sftp-badcmds", "sftp-batch", "sftp-glob", "sftp-perm"}
	openSSHScriptsNotRun = map[string]string{
		"sftp-chroot":  "tests sshd's ChrootDirectory, with sshd as root and its internal-sftp",
		"sftp-uri":     "tests how the client reads sftp:// addresses, over ssh to an sshd that the script starts",
		"ssh-com-sftp": "needs ssh.com's servers",
	}
)

// testScriptsComplete finds scripts that are in neither of the lists.
func testScriptsComplete(t *testing.T, regress string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(regress, "*sftp*.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		name := strings.TrimSuffix(filepath.Base(file), ".sh")
		if openSSHScriptsNotRun[name] == "" && !slices.Contains(openSSHScripts, name) {
			t.Errorf("%s is new: run it, or list the reason for not running it", name)
		}
	}
}

// TestOpenSSHRegress runs OpenSSH's regression scripts for its sftp client and server with our server. They do not need SSH,
// because sftp -D starts the server itself. sftp-perm tests the lists of permitted requests and the read-only mode.
func TestOpenSSHRegress(t *testing.T) {
	sftp := tool(t, "sftp")
	tool(t, "ssh-keygen")
	regress := regressDir(t)
	testScriptsComplete(t, regress)
	all := openSSHScripts
	for resolver, scripts := range map[string][]string{"openat2": all, "os.Root": {"sftp-cmds", "sftp-perm"}} {
		for _, script := range scripts {
			t.Run(script+"/"+resolver, func(t *testing.T) {
				dir := t.TempDir()
				run(t, exec.Command("cp", "-r", regress+"/.", dir))
				// The scripts accept the server as a single word.
				wrapper := filepath.Join(dir, "server")
				text := "#!/bin/sh\nexec " + server + " stdio --resolver " + resolver + ` "$@"` + "\n"
				if err := os.WriteFile(wrapper, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command("sh", "test-exec.sh", dir, filepath.Join(dir, script+".sh"))
				cmd.Dir = dir
				cmd.Env = append(os.Environ(),
					"TEST_SHELL=sh", "BUILDDIR="+dir, "OBJ="+dir, "USER="+currentUser(),
					"TEST_SSH_SFTP="+sftp, "TEST_SSH_SFTPSERVER="+wrapper,
					// The scripts' framework checks an sshd configuration that they never use, and requires a directory that sshd
					// needs.
					"TEST_SSH_SSHD=/bin/true", "TEST_SSH_UNSAFE_PERMISSIONS=1",
				)
				out := run(t, cmd)
				if !strings.Contains(out, "\nok ") {
					t.Errorf("the script did not say ok:\n%s", out)
				}
			})
		}
	}
}

func currentUser() string {
	if os.Getuid() == 0 {
		return "root"
	}
	return os.Getenv("USER")
}

// TestOpenSSHCopy copies a file on the server (copy-data), and uploads and downloads it with the client's default sizes, which
// follow limits@openssh.com.
func TestOpenSSHCopy(t *testing.T) {
	sftp := tool(t, "sftp")
	root, local := t.TempDir(), t.TempDir()
	data := make([]byte, 5<<20+3)
	for i := range data {
		data[i] = byte(i * i >> 5)
	}
	if err := os.WriteFile(filepath.Join(local, "src"), data, 0o640); err != nil {
		t.Fatal(err)
	}
	batch := "put -p src /up\ncp /up /copy\nget -p /copy back\nln -s up /link\nls -l /\ndf -h /\n" +
		"mkdir d\nput src d/x\nchmod 600 d/x\nrename d/x d/y\nrm d/y\nrmdir d\n"
	cmd := exec.Command(sftp, "-b", "-", "-D", server+" stdio --root "+root)
	cmd.Dir = local
	cmd.Stdin = strings.NewReader(batch)
	out := run(t, cmd)
	got, err := os.ReadFile(filepath.Join(local, "back"))
	if err != nil || string(got) != string(data) {
		t.Errorf("the file differs after put, cp, get: %v", err)
	}
	st, err := os.Stat(filepath.Join(root, "up"))
	if err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if !strings.Contains(out, "-rw-r-----    ") {
		t.Errorf("ls -l: %s", out)
	}
}
