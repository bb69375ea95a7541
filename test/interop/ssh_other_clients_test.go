package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/config/configtest"
)

// account is how a client logs in, and where its files are on both sides.
type account struct {
	host, port, user string
	// key is a private key file in OpenSSH's format. It is empty if the client has the
	// password to log in with, and the password is empty otherwise.
	key, password string
	// hostKey is the daemon's. The file known has it as OpenSSH writes it, and so does
	// .ssh/known_hosts in clientHome, which is HOME for the client.
	hostKey           ssh.PublicKey
	known, clientHome string
	// local is the client's working directory, with a file "big" and a directory "tree".
	local string
	// remote is the user's home, seen from the server.
	remote string
	// deadline is when the client must have done all that it is to do.
	deadline time.Time
}

// TestOtherClients uses the daemon with the clients of Debian that are not OpenSSH's. All
// but lftp and sshfs, which run ssh, bring an SSH implementation of their own.
func TestOtherClients(t *testing.T) {
	const key, password = "key", "password"
	for _, tc := range []struct {
		name  string
		tools []string
		auth  []string
		use   func(*testing.T, *account)
	}{
		{"lftp", []string{"lftp", "ssh"}, []string{key}, useLFTP},
		{"rclone", []string{"rclone"}, []string{key, password}, useRclone},
		{"curl", []string{"curl"}, []string{key, password}, useCurl},
		{"paramiko", []string{"/usr/bin/python3"}, []string{key, password}, useParamiko},
		{"psftp", []string{"psftp", "puttygen"}, []string{key, password}, usePSFTP},
		{"sshfs", []string{"sshfs", "ssh"}, []string{key}, useSSHFS},
	} {
		for _, auth := range tc.auth {
			t.Run(tc.name+"/"+auth, func(t *testing.T) {
				for _, program := range tc.tools {
					tool(t, program)
				}
				signer, pem := configtest.Key(t)
				dir := configtest.New(t)
				dir.AddUser("ada", "secret-of-ada", signer.PublicKey())
				o := startWith(t, dir)
				host, port, err := net.SplitHostPort(o.daemon.Addr)
				if err != nil {
					t.Fatal(err)
				}
				a := &account{
					host: host, port: port, user: "ada", hostKey: parse(t, dir.HostKeys[0]).PublicKey(),
					known: o.known, clientHome: t.TempDir(), local: t.TempDir(), remote: dir.Home("ada"),
					deadline: time.Now().Add(20 * time.Second),
				}
				if auth == key {
					a.key = o.identity(t, pem)[1]
				} else {
					a.password = "secret-of-ada"
				}
				write(t, filepath.Join(a.clientHome, ".ssh/known_hosts"), read(t, o.known))
				makeTree(t, a.local)
				tc.use(t, a)
				login := o.daemon.WaitAudit(t, "login", 1)
				if methods := fmt.Sprint(login["methods"]); login["user"] != "ada" || (methods == "[publickey]") != (auth == key) {
					t.Errorf("audit: %v", login)
				}
				if strings.Contains(o.daemon.RawAudit()+o.daemon.Log(), "secret-of-ada") {
					t.Error("the password is in the logs")
				}
			})
		}
	}
}

// run runs a client in the local directory and returns what it writes. It has to succeed.
func (a *account) run(t *testing.T, input string, args ...string) string {
	t.Helper()
	stdout, stderr, err := a.try(t, input, args...)
	if err != nil {
		t.Fatalf("%s: %v\nstdout: %s\nstderr: %s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

func (a *account) try(t *testing.T, input string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), a.deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = time.Second // lftp's ssh may outlive it and hold its output
	cmd.Dir = a.local
	cmd.Env = append(os.Environ(), "HOME="+a.clientHome, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_CACHE_HOME=", "SSH_AUTH_SOCK=", "LC_ALL=C.UTF-8")
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// ssh is the command line of an ssh that logs in with the key. Its words have no spaces.
func (a *account) ssh() string {
	return "ssh -F none -a -x -i " + a.key + " -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes" +
		" -o UserKnownHostsFile=" + a.known + " -o GlobalKnownHostsFile=/dev/null -o ConnectTimeout=10"
}

func write(t *testing.T, file, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// makeTree makes a file "big" and a directory "tree" that holds some.
func makeTree(t *testing.T, dir string) {
	t.Helper()
	big := make([]byte, 3<<20+17)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(big) // never fails
	for name, data := range map[string]string{
		"big": string(big), "tree/empty": "", "tree/sub/big": string(big[:1<<20+1]), "tree/sub/deep/one": "1",
		"tree/with space": "space\n", "tree/naïve ☃": "snow\n",
	} {
		write(t, filepath.Join(dir, name), data)
	}
	if err := os.Symlink("sub/big", filepath.Join(dir, "tree/link")); err != nil {
		t.Fatal(err)
	}
}

// sums describes a tree: the hash of every file, the target of every link.
func sums(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		switch {
		case err != nil:
			return err
		case e.IsDir():
			found[name] = "directory"
		case e.Type() == fs.ModeSymlink:
			found[name], err = os.Readlink(file)
			return err
		default:
			found[name] = sum(read(t, file))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func sum(data string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(data))) }

// sameTrees compares two trees. Names in except are ignored.
func sameTrees(t *testing.T, have, want string, except ...string) {
	t.Helper()
	h, w := sums(t, have), sums(t, want)
	for _, name := range except {
		delete(h, name)
		delete(w, name)
	}
	if !maps.Equal(h, w) {
		t.Errorf("the trees differ: %s has\n%v\nand %s\n%v", have, h, want, w)
	}
}

// holds checks the hash of a file.
func holds(t *testing.T, file, want string) {
	t.Helper()
	if have := read(t, file); sum(have) != sum(want) {
		t.Errorf("%s: %d bytes with SHA-256 %s, want %d with %s", file, len(have), sum(have), len(want), sum(want))
	}
}

// entries are the names in a directory.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func (a *account) at(name string) string { return filepath.Join(a.remote, name) }

func (a *account) here(name string) string { return filepath.Join(a.local, name) }

// lftp runs ssh. Its password is never asked for.
func useLFTP(t *testing.T, a *account) {
	script := `set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 10
set sftp:connect-program "` + a.ssh() + `"
open -u ada,none sftp://` + a.host + ":" + a.port + "\n"
	a.run(t, script+"mirror -R tree up; mirror up down\n", "lftp", "-f", "/dev/stdin")
	sameTrees(t, a.at("up"), a.here("tree"))
	sameTrees(t, a.here("down"), a.here("tree"))

	// Only what changed is sent again, what is gone is deleted.
	write(t, a.here("tree/sub/new"), "new")
	if err := os.Remove(a.here("tree/empty")); err != nil {
		t.Fatal(err)
	}
	out := a.run(t, script+"mirror -R --delete --verbose tree up; mirror --delete up down\n", "lftp", "-f", "/dev/stdin")
	sameTrees(t, a.at("up"), a.here("tree"))
	sameTrees(t, a.here("down"), a.here("tree"))
	if strings.Contains(out, "sub/big") || !strings.Contains(out, "sub/new") {
		t.Errorf("mirrored again:\n%s", out)
	}

	// A transfer goes on where it ended, in several requests at once and in parts.
	big := read(t, a.here("big"))
	write(t, a.at("half"), big[:1<<20])
	write(t, a.here("half"), big[:1<<20+5])
	out = a.run(t, script+`put -c big -o half; get -c half -o half; pget -n 3 half -o parts
mkdir -p d/e; mv half d/e/half; chmod 640 d/e/half; ln -s e/half d/link; cls -1 d; cat d/link | sha256sum; rm -r up
`, "lftp", "-f", "/dev/stdin")
	for _, file := range []string{a.at("d/e/half"), a.at("d/link"), a.here("half"), a.here("parts")} {
		holds(t, file, big)
	}
	if !strings.Contains(out, "d/e") || !strings.Contains(out, sum(big)) {
		t.Errorf("cls and cat:\n%s", out)
	}
	if names := entries(t, a.remote); !slices.Equal(names, []string{"d"}) {
		t.Errorf("left: %q", names)
	}
}

// rclone asks for a shell first, to hash files with, and must do without.
func useRclone(t *testing.T, a *account) {
	config := "[s]\ntype = sftp\nhost = " + a.host + "\nport = " + a.port + "\nuser = ada\nknown_hosts_file = " + a.known + "\n"
	if a.key != "" {
		config += "key_file = " + a.key + "\n"
	} else {
		config += "pass = " + strings.TrimSpace(a.run(t, a.password, "rclone", "obscure", "-")) + "\n"
	}
	file := filepath.Join(a.clientHome, "rclone.conf")
	write(t, file, config)
	rclone := func(args ...string) string {
		t.Helper()
		stdout, stderr, err := a.try(t, "", append([]string{"rclone", "--config", file, "--retries", "1", "-v"}, args...)...)
		if err != nil || strings.Contains(stderr, "ERROR") {
			t.Fatalf("rclone %s: %v\nstdout: %s\nstderr: %s", strings.Join(args, " "), err, stdout, stderr)
		}
		return stdout + stderr
	}
	// rclone leaves links out.
	rclone("sync", "tree", "s:up")
	sameTrees(t, a.at("up"), a.here("tree"), "link")
	rclone("check", "--download", "tree", "s:up")
	write(t, a.here("tree/sub/new"), "new")
	if err := os.Remove(a.here("tree/empty")); err != nil {
		t.Fatal(err)
	}
	out := rclone("sync", "tree", "s:up") // modification times were kept
	sameTrees(t, a.at("up"), a.here("tree"), "link")
	if strings.Contains(out, "sub/big") || !strings.Contains(out, "sub/new") {
		t.Errorf("synchronized again:\n%s", out)
	}
	rclone("moveto", "s:up/sub/big", "s:moved/there") // on the server, into a directory that is made
	holds(t, a.at("moved/there"), read(t, a.here("tree/sub/big")))
	rclone("moveto", "s:moved/there", "s:up/with space") // in place of another
	holds(t, a.at("up/with space"), read(t, a.here("tree/sub/big")))
	rclone("sync", "s:up", "down")
	sameTrees(t, a.here("down"), a.at("up"))
	rclone("about", "s:") // statvfs@openssh.com
	rclone("purge", "s:up")
	if names := entries(t, a.remote); !slices.Equal(names, []string{"moved"}) {
		t.Errorf("left: %q", names)
	}
}

// curl has libssh2, and looks for the host key in ~/.ssh/known_hosts.
func useCurl(t *testing.T, a *account) {
	curl := func(args ...string) []string {
		base := []string{"curl", "-q", "--silent", "--show-error", "--max-time", "20", "--user", "ada:" + a.password}
		if a.key != "" {
			base = append(base, "--key", a.key)
		}
		return append(base, args...)
	}
	url := "sftp://" + net.JoinHostPort(a.host, a.port) + "/"
	big := read(t, a.here("big"))

	a.run(t, "", curl("--upload-file", "big", "--ftp-create-dirs", url+"new/dir/up")...)
	holds(t, a.at("new/dir/up"), big)
	a.run(t, "", curl("--output", "down", url+"new/dir/up")...)
	holds(t, a.here("down"), big)
	a.run(t, "", curl("--append", "--upload-file", "big", url+"new/dir/up")...)
	holds(t, a.at("new/dir/up"), big+big)
	for _, r := range []struct{ option, want string }{
		{"5-70004", big[5:70005]}, {"3000000-", big[3000000:]}, {"-9", big[len(big)-9:]}, {"0-0", big[:1]},
	} {
		write(t, a.at("range"), big)
		if out := a.run(t, "", curl("--range", r.option, url+"range")...); sum(out) != sum(r.want) {
			t.Errorf("--range %s: %d bytes, want %d", r.option, len(out), len(r.want))
		}
	}
	// --continue-at - asks for the size of the part that is there.
	write(t, a.at("part"), big[:1000001])
	a.run(t, "", curl("--continue-at", "-", "--upload-file", "big", url+"part")...)
	holds(t, a.at("part"), big)
	write(t, a.here("part"), big[:1000001])
	a.run(t, "", curl("--continue-at", "-", "--output", "part", url+"part")...)
	holds(t, a.here("part"), big)

	out := a.run(t, "", curl("--quote", "mkdir /q", "--quote", "rename /part /q/part", "--quote", "symlink part /q/link",
		"--quote", "chmod 640 /q/part", url+"q/")...)
	if !strings.Contains(out, "-rw-r-----") || !strings.Contains(out, "link -> part") {
		t.Errorf("listing:\n%s", out)
	}
	if target, err := os.Readlink(a.at("q/link")); err != nil || target != "part" {
		t.Errorf("link to %q, %v", target, err)
	}
	// What fails must not look as if it went well: 78 is "the resource does not exist".
	if out, _, err := a.try(t, "", curl(url+"nothing")...); err == nil || err.Error() != "exit status 78" || out != "" {
		t.Errorf("a file that is not there: %v, %q", err, out)
	}
}

func useParamiko(t *testing.T, a *account) {
	const python = "/usr/bin/python3" // Debian's, which Debian's modules are for
	if _, _, err := a.try(t, "", python, "-c", "import paramiko"); err != nil {
		missing(t, "paramiko (Debian: python3-paramiko)")
	}
	script, err := filepath.Abs("testdata/paramiko_session.py")
	if err != nil {
		t.Fatal(err)
	}
	a.run(t, "", python, script, a.host, a.port, a.user, a.key, a.password, a.known, a.local)
	big := read(t, a.here("big"))
	for _, file := range []string{a.at("up"), a.at("pipelined"), a.here("back")} {
		holds(t, file, big)
	}
}

// psftp is told the host key, and knows private keys in PuTTY's format alone.
func usePSFTP(t *testing.T, a *account) {
	psftp := []string{"psftp", "-batch", "-noagent", "-P", a.port, "-hostkey", ssh.FingerprintSHA256(a.hostKey)}
	if a.key != "" {
		ppk := filepath.Join(a.clientHome, "id.ppk")
		a.run(t, "", "puttygen", a.key, "-o", ppk)
		psftp = append(psftp, "-i", ppk)
	} else {
		psftp = append(psftp, "-pw", a.password)
	}
	psftp = append(psftp, "-b", "script", "ada@"+a.host)
	batch := func(commands string) string {
		t.Helper()
		write(t, a.here("script"), commands)
		return a.run(t, "", psftp...)
	}
	// psftp follows links as it reads them.
	out := batch("put big\nget big back\nput -r tree up\nget -r up down\nmkdir d\nmv big d/\nchmod 640 d/big\nls d\npwd\n")
	big := read(t, a.here("big"))
	holds(t, a.at("d/big"), big)
	holds(t, a.here("back"), big)
	holds(t, a.at("up/link"), read(t, a.here("tree/sub/big")))
	sameTrees(t, a.at("up"), a.here("tree"), "link")
	sameTrees(t, a.here("down"), a.at("up"))
	if !strings.Contains(out, "-rw-r-----") || !strings.Contains(out, "Remote directory is /\n") {
		t.Errorf("ls and pwd:\n%s", out)
	}
	write(t, a.at("half"), big[:1<<20])
	write(t, a.here("half"), big[:1<<20+5])
	batch("reput big half\nreget half\nmget up/sub/b*\ndel half\ndel d/*\nrmdir d\n")
	holds(t, a.here("half"), big)
	if names := entries(t, a.remote); !slices.Equal(names, []string{"up"}) {
		t.Errorf("left: %q", names)
	}
	// What fails ends the batch.
	write(t, a.here("script"), "get nothing\nmkdir never\n")
	if _, _, err := a.try(t, "", psftp...); err == nil {
		t.Error("psftp got a file that is not there")
	}

	psftp[slices.Index(psftp, "-hostkey")+1] = "SHA256:" + strings.Repeat("A", 43)
	if _, stderr, err := a.try(t, "", psftp...); err == nil || !strings.Contains(stderr, "Host key not in manually configured list") {
		t.Errorf("another host key: %v: %s", err, stderr)
	}
}

func useSSHFS(t *testing.T, a *account) {
	source := a.user + "@" + a.host + ":/"
	options := []string{"-p", a.port, "-o", "ssh_command=" + a.ssh()}
	mnt, unmount := startSSHFS(t, source, options...)
	a.run(t, "", "cp", "-r", "--no-dereference", "tree", "big", mnt)
	a.run(t, "", "cp", "-r", "--no-dereference", filepath.Join(mnt, "tree"), "down")
	sameTrees(t, a.here("down"), a.here("tree"))
	f, err := os.OpenFile(filepath.Join(mnt, "tree/with space"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("more\n"); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := os.Rename(filepath.Join(mnt, "big"), filepath.Join(mnt, "tree/empty")); err != nil {
		t.Error(err)
	}
	unmount()
	holds(t, a.at("tree/with space"), "space\nmore\n")
	holds(t, a.at("tree/empty"), read(t, a.here("big")))
	sameTrees(t, a.at("tree"), a.here("tree"), "with space", "empty")

	mnt, unmount = startSSHFS(t, source, options...)
	sameTrees(t, mnt, a.remote)
	unmount()
}
