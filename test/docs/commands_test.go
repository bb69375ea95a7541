package docs

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/test/pages"
)

// blocks returns a page's blocks of commands.
func blocks(t *testing.T, page string) []string {
	t.Helper()
	out, err := pages.Blocks(page)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	makeTarget = regexp.MustCompile(`(?m)^\s*make ([a-z][a-z-]*)`)
	plugin     = regexp.MustCompile(`kubectl sftp ((?:events |receipts )?[a-z][a-z-]*)([^|#\n]*)`)
	flagOf     = regexp.MustCompile(`(?:^|\s)(--?[A-Za-z][a-z-]*)`)
	goPackage  = regexp.MustCompile(`(?m)^\s*go (?:build|run|test|vet)\b.*?\s(\./[A-Za-z0-9/_-]+)`)
	script     = regexp.MustCompile(`(?m)^\s*((?:hack|test)/[A-Za-z0-9/_-]+\.sh)`)
)

// TestCommandsExist: each block of commands is valid for the shell, and names only targets of make, packages, scripts and
// verbs and flags of the plug-in that exist.
func TestCommandsExist(t *testing.T) {
	targets := read(t, root+"/Makefile")
	bin := build(t, "kubectl-sftp")
	help := map[string]string{}
	tested, seen := pages.Pages(), map[string]bool{}
	for _, path := range markdown(t) {
		page, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range blocks(t, page) {
			seen[page] = true
			if out, err := exec.CommandContext(t.Context(), "bash", "-n", "-c", block).CombinedOutput(); err != nil {
				t.Errorf("%s, block %d: %v: %s", page, i+1, err, out)
			}
			for _, m := range makeTarget.FindAllStringSubmatch(block, -1) {
				if !strings.Contains(targets, "\n"+m[1]+":") {
					t.Errorf("%s, block %d: there is no target make %s", page, i+1, m[1])
				}
			}
			for _, m := range append(goPackage.FindAllStringSubmatch(block, -1), script.FindAllStringSubmatch(block, -1)...) {
				if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
					t.Errorf("%s, block %d: %v", page, i+1, err)
				}
			}
			for _, m := range plugin.FindAllStringSubmatch(block, -1) {
				if m[1] == "__complete" || m[1] == "x" {
					continue
				}
				if help[m[1]] == "" {
					out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "kubectl-sftp"), append(strings.Fields(m[1]), "--help")...).CombinedOutput()
					if err != nil || !strings.Contains(string(out), "kubectl sftp "+m[1]) {
						t.Errorf("%s, block %d: kubectl sftp %s: %v: %s", page, i+1, m[1], err, out)
					}
					help[m[1]] = string(out)
				}
				own, _, _ := strings.Cut(m[2], " -- ")
				for _, f := range flagOf.FindAllStringSubmatch(own, -1) {
					if !regexp.MustCompile(`(?m)(^|[\s,])` + f[1] + `\b`).MatchString(help[m[1]]) {
						t.Errorf("%s, block %d: kubectl sftp %s has no flag %s", page, i+1, m[1], f[1])
					}
				}
			}
		}
		if seen[page] != tested[page] {
			t.Errorf("%s has commands: %v; test/pages names a test that runs them: %v", page, seen[page], tested[page])
		}
	}
	unused, err := pages.UnusedRules()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range unused {
		t.Errorf("test/pages has a rule for no command: %s", rule)
	}
}

// TestPagesOfThisPackage: the pages that test/pages assigns to this package are the ones whose blocks the tests below run.
func TestPagesOfThisPackage(t *testing.T) {
	for page := range pages.Pages() {
		commands, err := pages.Commands(page, pages.Docs)
		if err != nil {
			t.Fatal(err)
		}
		if has := len(commands) > 0; has != (page == "docs/run-sftpd.md" || page == "docs/gitops.md" || page == "docs/receipts.md") {
			t.Errorf("%s has commands that this package should run: %v", page, has)
		}
	}
}

// build builds programs into a directory.
func build(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, name), "./cmd/"+name)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return dir
}

// checkout returns a directory with the files that the commands of a page refer to. A page's commands may write into it.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"api", "cmd", "controllers", "sftpd", "config", "charts"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(read(t, filepath.Join(root, name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// terminal is a shell that runs a block of commands.
type terminal struct {
	cmd   *exec.Cmd
	out   strings.Builder
	ended chan error // what the shell ended with
}

// open runs a block in a shell with its own process group. ports replaces the ports in it, which may be in use on this machine.
func open(t *testing.T, dir, block string, ports *strings.Replacer) *terminal {
	t.Helper()
	term := &terminal{ended: make(chan error, 1), cmd: exec.CommandContext(context.WithoutCancel(t.Context()), "bash", "-euo", "pipefail", "-c", ports.Replace(block))}
	term.cmd.Dir, term.cmd.Stdout, term.cmd.Stderr = dir, &term.out, &term.out
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { term.ended <- term.cmd.Wait() }()
	return term
}

// interrupt sends what Ctrl-C sends, and waits until the block ends.
func (term *terminal) interrupt(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-term.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Error(err)
	}
	<-term.ended
}

// freePorts replaces the ports of the pages with free ones.
func freePorts(t *testing.T) (ports *strings.Replacer, sftp string) {
	t.Helper()
	free := func() string {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	sftp = free()
	return strings.NewReplacer("2222", sftp, "8081", free()), "127.0.0.1:" + sftp
}

// answering waits until the daemon that a terminal starts accepts connections at an address.
func (term *terminal) answering(t *testing.T, address string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Minute) // the block compiles the daemon first
	for {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 4))
			if errors.Join(err, c.Close()) == nil {
				return
			}
		}
		select {
		case ended := <-term.ended:
			t.Fatalf("the commands ended before the daemon served %s: %v: %s", address, ended, term.out.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			term.interrupt(t)
			t.Fatalf("nothing serves %s: %v", address, err)
		}
	}
}

// TestDaemonAlone: the first two blocks of docs/run-sftpd.md start a daemon and log in, and the page's session on standard input
// and output works.
func TestDaemonAlone(t *testing.T) {
	page := blocks(t, "docs/run-sftpd.md")
	if len(page) != 4 {
		t.Fatalf("docs/run-sftpd.md has %d blocks", len(page))
	}
	dir := checkout(t)
	ports, address := freePorts(t)
	daemon := open(t, dir, page[0], ports)
	daemon.answering(t, address)

	client := open(t, filepath.Join(dir, "try"), page[1], ports)
	if err := <-client.ended; err != nil {
		t.Errorf("%v: %s", err, client.out.String())
	}
	if out := client.out.String(); !strings.Contains(out, "Connected to 127.0.0.1.") || !strings.Contains(out, "{") { // the last command prints JSON
		t.Errorf("the client printed %s", out)
	}
	daemon.interrupt(t)
	if out := daemon.out.String(); strings.Count(out, `"event":"login","result":"ok"`) != 2 || strings.Contains(out, `"level":"error"`) {
		t.Errorf("the daemon printed %s", out)
	}

	first, _, _ := strings.Cut(page[2], "\n") // the second line is sshd's configuration
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o700); err != nil {
		t.Fatal(err)
	}
	first = "PATH=$PWD/bin:$PATH; " + strings.Replace(first, "/srv/files", filepath.Join(dir, "files"), 1)
	session := open(t, dir, first, ports)
	if err := <-session.ended; err != nil {
		t.Errorf("%s: %v: %s", first, err, session.out.String())
	}
}

// TestRenderCommands: the blocks of docs/gitops.md render the samples, and a daemon serves the result. test/operator runs the third
// block, which needs an API server.
func TestRenderCommands(t *testing.T) {
	page := blocks(t, "docs/gitops.md")
	if len(page) != 3 {
		t.Fatalf("docs/gitops.md has %d blocks", len(page))
	}
	dir := checkout(t)
	ports, address := freePorts(t)
	render := open(t, dir, page[0], ports)
	if err := <-render.ended; err != nil || !strings.Contains(render.out.String(), `warning: SFTPUser sftp-demo/acme: SecretNotFound: Secret "acme-keys" does not exist`) {
		t.Errorf("%v: %s", err, render.out.String())
	}
	daemon := open(t, dir, page[1], ports)
	daemon.answering(t, address)
	daemon.interrupt(t)
	if out := daemon.out.String(); strings.Contains(out, `"level":"error"`) {
		t.Errorf("the daemon printed %s", out)
	}
}
