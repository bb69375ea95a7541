package interop

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

const scenarioFile = "testdata/scenario.batch"

// step is a command of the scenario, and everything the client printed for it.
type step struct{ command, output string }

// scenarioRun is the result of a run of the scenario.
type scenarioRun struct {
	steps          []step
	exit           int
	server, client map[string]string // inventories
}

// TestScenario runs OpenSSH's sftp with one batch of commands against OpenSSH's server and the daemon, each with the same
// files, and compares the client's output and the resulting files. Both servers run as the same unprivileged Unix user, under
// the same umask.
func TestScenario(t *testing.T) {
	tool(t, "sftp")
	sshdPath(t)
	if os.Getuid() != 0 {
		missing(t, "root, which OpenSSH's sshd needs for ChrootDirectory,")
	}
	today := time.Now().Truncate(24 * time.Hour)
	theirs := runScenario(t, "openssh", today, func(t *testing.T, tree string, key ssh.PublicKey) (string, ssh.PublicKey) {
		t.Helper()
		return startSSHD(t, tree, key)
	})
	ours := runScenario(t, "sftpd", today, startAsTenant)
	if len(theirs.steps) != len(ours.steps) {
		t.Fatal("there is nothing to compare: -run selects only one of the servers")
	}
	// All commands have run: a failing one does not end the batch. Apart from that, the exit code is up to the client.
	if ours.exit != theirs.exit {
		t.Errorf("the client exits with %d, but with %d after the same commands with OpenSSH's server", ours.exit, theirs.exit)
	}
	found := map[string]difference{}
	for i, their := range theirs.steps {
		our := ours.steps[i]
		if their.command != our.command {
			t.Fatalf("step %d is %q with OpenSSH's server, %q with ours", i+1, their.command, our.command)
		}
		note(found, "sftp> "+their.command, their.output, our.output)
	}
	compareInventories(found, "", theirs.server, ours.server)
	compareInventories(found, "client: ", theirs.client, ours.client)
	for _, where := range slices.Sorted(maps.Keys(found)) {
		have, want := found[where], differences[where]
		if have.openSSH != want.openSSH || have.ours != want.ours {
			t.Errorf("%s\nOpenSSH's server: %q\nours: %q\nlisted are %q\nand %q", where, have.openSSH, have.ours, want.openSSH, want.ours)
		}
	}
	for _, where := range slices.Sorted(maps.Keys(differences)) {
		if _, ok := found[where]; !ok {
			t.Errorf("%s\nis listed as a difference, but there is none", where)
		}
	}
	for _, n := range normalizations {
		if !n.used {
			t.Errorf("this is not compared, although it does not differ: %s", n.what)
		}
	}
	t.Logf("%d commands, %d and %d files; %d differences", len(ours.steps), len(ours.server), len(ours.client), len(found))
}

// note adds a difference, if there is one: the lines that only one of the two has, or everything if only the order differs. A
// repeated command has one entry for all its runs.
func note(found map[string]difference, where, theirs, ours string) {
	if theirs == ours {
		return
	}
	onlyTheirs, onlyOurs := without(theirs, ours), without(ours, theirs)
	if onlyTheirs == onlyOurs {
		onlyTheirs, onlyOurs = theirs, ours
	}
	d := found[where]
	found[where] = difference{openSSH: d.openSSH + onlyTheirs, ours: d.ours + onlyOurs}
}

// without removes the lines of b from a, each once.
func without(a, b string) string {
	others := map[string]int{}
	for line := range strings.Lines(b) {
		others[line]++
	}
	var left strings.Builder
	for line := range strings.Lines(a) {
		if others[line]--; others[line] < 0 {
			left.WriteString(line)
		}
	}
	return left.String()
}

func compareInventories(found map[string]difference, prefix string, theirs, ours map[string]string) {
	for name, their := range theirs {
		note(found, prefix+name, their, ours[name])
	}
	for name, our := range ours {
		if theirs[name] == "" {
			note(found, prefix+name, "", our)
		}
	}
}

// startServer serves a tree to the user ada, who has the key.
type startServer func(t *testing.T, tree string, key ssh.PublicKey) (addr string, hostKey ssh.PublicKey)

// plantedAccount creates the trees, starts a server, and returns how to log in.
func plantedAccount(t *testing.T, today time.Time, start startServer) *account {
	t.Helper()
	volume := t.TempDir()
	for _, dir := range []string{filepath.Dir(volume), volume} {
		must(t, os.Chmod(dir, 0o755)) // the tenant needs to pass through
	}
	tree, local := filepath.Join(volume, "ada"), filepath.Join(t.TempDir(), "client")
	for _, dir := range []string{tree, local} {
		must(t, os.Mkdir(dir, 0o755))
	}
	plant(t, tree, today, serverTree)
	plant(t, local, today, clientTree)

	signer, pem := configtest.Key(t)
	addr, hostKey := start(t, tree, signer.PublicKey())
	host, port, err := net.SplitHostPort(addr)
	must(t, err)
	a := &account{host: host, port: port, user: "ada", hostKey: hostKey, clientHome: t.TempDir(), local: local, remote: tree}
	a.key, a.known = filepath.Join(a.clientHome, "id"), filepath.Join(a.clientHome, ".ssh/known_hosts")
	write(t, a.key, string(pem))
	write(t, a.known, knownHost(addr, hostKey))
	return a
}

// sshdAccount returns an account on OpenSSH's server, with the tree of the scenario.
func sshdAccount(t *testing.T, options ...sshdOptions) *account {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "root, which OpenSSH's sshd needs for ChrootDirectory,")
	}
	return plantedAccount(t, time.Now().Truncate(24*time.Hour), func(t *testing.T, tree string, key ssh.PublicKey) (string, ssh.PublicKey) {
		t.Helper()
		return startSSHD(t, tree, key, options...)
	})
}

// runScenario creates the trees, starts a server, and runs the client in its own directory. No command of the scenario prints
// the path of that directory.
func runScenario(t *testing.T, name string, today time.Time, start startServer) (r scenarioRun) {
	t.Helper()
	ok := t.Run(name, func(t *testing.T) {
		began := time.Now().Add(-time.Minute)
		a := plantedAccount(t, today, start)
		printed, exit := a.sftpScenario(t)
		r = scenarioRun{steps: normalised(printed), exit: exit, server: inventory(t, a.remote, began), client: inventory(t, a.local, began)}
		commands := strings.Count(read(t, scenarioFile), "\n")
		if len(r.steps) != commands {
			t.Errorf("the client exits with %d after %d of %d commands:\n%s", exit, len(r.steps), commands, printed)
		}
	})
	if !ok {
		t.FailNow()
	}
	return r
}

// sftpScenario runs the batch. Both outputs of the client are combined, so that errors appear where they occur: it writes whole
// lines to both.
func (a *account) sftpScenario(t *testing.T) (printed string, exit int) {
	t.Helper()
	batch, err := filepath.Abs(scenarioFile)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := a.command(ctx, sftpCommand(a, batch)...)
	cmd.Env = append(cmd.Env, "TZ=UTC")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) || ctx.Err() != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// normalized splits the client's output into steps, without what differs from run to run.
func normalised(printed string) (steps []step) {
	// The client also ends its errors with a carriage return.
	for line := range strings.Lines(strings.ReplaceAll(printed, "\r\n", "\n")) {
		if command, ok := strings.CutPrefix(line, "sftp> "); ok {
			steps = append(steps, step{command: strings.TrimSuffix(command, "\n")})
			continue
		}
		if len(steps) == 0 {
			steps = append(steps, step{}) // before the first command
		}
		steps[len(steps)-1].output += line
	}
	for i := range steps {
		for j := range normalizations {
			n := &normalizations[j]
			if !n.of.MatchString(steps[i].command) {
				continue
			}
			after := n.to(steps[i].output)
			n.used = n.used || after != steps[i].output
			steps[i].output = after
		}
	}
	return steps
}
