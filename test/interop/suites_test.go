package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// suite is the test suite of another project, as a Go module. It runs from the module cache, at the version that go.sum or sum
// pins.
type suite struct {
	name, module, version string
	// sum is the module's checksum, for modules that are not in our go.sum.
	sum string
	// pkg is the package with the tests, relative to the module.
	pkg string
	// fails lists the tests that cannot pass, with the reasons.
	fails map[string]string
}

// pkgSFTP is the client in most Go programs. Its tests start a server the way OpenSSH's is started: sftp-server -e -R -l DEBUG.
// The daemon's own tests use its client, so go.sum has it.
var pkgSFTP = suite{
	name: "pkg/sftp 1.13, client integration tests", module: "github.com/pkg/sftp", pkg: ".",
	fails: map[string]string{
		"TestClientSetuid":             "wants the set-user-ID bit kept: the daemon masks the special bits, so that nothing on a volume runs with other rights",
		"TestClientChown":              "gives a file to another user: the daemon never changes owners, because it runs as one Unix user",
		"TestServerRoughDisconnect":    devZero,
		"TestServerRoughDisconnect2":   devZero,
		"TestServerRoughDisconnect3":   devZero,
		"TestServerRoughDisconnect4":   devZero,
		"TestServerRoughDisconnectEOF": devZero,
		"TestClientWriteToROFile":      devZero,
	},
}

const devZero = "opens /dev/zero: the daemon opens only regular files, because devices and FIFOs can block a session or do harm"

// rcloneFS is the test suite that rclone has for every storage, run with its sftp backend.
var rcloneFS = suite{
	name: "rclone 1.76, fstests of backend/sftp", module: "github.com/rclone/rclone", version: "v1.76.0",
	sum: "h1:Gabl7KmhxyOXyMtFNA/s6wZ3LZ/2x0NP7xZLNEW3Guo=", pkg: "backend/sftp",
}

// build compiles the suite's tests and returns the program, and the package's directory in the module cache. Only the
// dependencies of that one package are downloaded.
func (s suite) build(t *testing.T) (program, source string) {
	t.Helper()
	at := s.module
	if s.version != "" {
		at += "@" + s.version
	}
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", at)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, &stderr)
	}
	var found struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	if s.sum != "" && found.Sum != s.sum {
		t.Fatalf("%s has the sum %s, want %s", at, found.Sum, s.sum)
	}
	source, program = filepath.Join(found.Dir, s.pkg), filepath.Join(t.TempDir(), "suite.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, ".")
	build.Dir = source
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	run(t, build)
	return program, source
}

var resultLine = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+) `)

// check runs the suite and compares the failures with the known ones.
func (s suite) check(t *testing.T, dir string, env []string, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"-test.v"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	verdicts := map[string]string{}
	for _, found := range resultLine.FindAllSubmatch(out, -1) {
		verdicts[string(found[2])] = string(found[1])
	}
	passed := 0
	for _, name := range slices.Sorted(maps.Keys(verdicts)) {
		reason, listed := s.fails[name]
		switch verdict := verdicts[name]; {
		case verdict == "FAIL" && !listed:
			t.Errorf("%s fails, but is not listed", name)
		case verdict != "FAIL" && listed:
			t.Errorf("%s is listed, but does not fail (%s): %s", name, verdict, reason)
		case verdict == "PASS":
			passed++
		}
	}
	for name := range s.fails {
		if verdicts[name] == "" {
			t.Errorf("%s is listed, but does not exist", name)
		}
	}
	if (err == nil) != (len(s.fails) == 0) || passed < 20 {
		t.Errorf("%v; %d tests passed", err, passed)
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
	t.Logf("%s: %d passed, %d fail as listed", s.name, passed, len(s.fails))
}

func TestPkgSFTPSuite(t *testing.T) {
	program, source := pkgSFTP.build(t)
	// One test requires the module's directory to have its name, another one writes next to it.
	dir := filepath.Join(t.TempDir(), "sftp")
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	wrapper := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(wrapper, []byte("#!/bin/sh\nexec "+server+` stdio "$@"`+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	pkgSFTP.check(t, dir, nil, program, "-integration", "-sftp", wrapper)
}

func TestRcloneSuite(t *testing.T) {
	program, source := rcloneFS.build(t)
	_, a, _, _ := newAccounts(t)
	config := filepath.Join(a.clientHome, "rclone.conf")
	write(t, config, strings.Join([]string{
		"[TestX]", "type = sftp", "host = " + a.host, "port = " + a.port, "user = " + a.user, "key_file = " + a.key, "known_hosts_file = " + a.known, "",
	}, "\n"))
	// The suite looks for its source in the working directory, and uses no other files of the user.
	rcloneFS.check(t, source, []string{"RCLONE_CONFIG=" + config, "HOME=" + a.clientHome}, program,
		"-test.run", "^TestIntegration$", "-remote", "TestX:rcfs")
}
