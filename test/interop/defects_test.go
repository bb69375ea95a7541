package interop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// defect is a client's bug that a row of the table encounters: the client's output or exit code is wrong, although the effect
// on the server is right. A row checks the effect first (client.judge), so a defect excuses only output and exit codes, and
// only those of the versions that have it.
type defect struct {
	client, row string
	// pkg is the Debian package with the bug, first the version that introduced it, and fixed the first one without it, or "" if
	// there is none yet.
	pkg, first, fixed string
	// what describes the defect, as text for the documentation.
	what string
	// shows reports whether the client's output shows this bug.
	shows func(said error) bool
	// provoke does the minimum that shows the bug against OpenSSH's server, and returns the client's output. It fails the test if
	// the effect there is wrong. A bug that OpenSSH's server does not show counts as ours until proven otherwise.
	provoke func(t *testing.T, a *account) error
	// serverOptions are lines of sshd_config that provoke needs.
	serverOptions []sshdOptions
	// seen is true after a row has encountered it.
	seen bool
}

// errSilent stands for a client that wrongly exits with 0.
var errSilent = errors.New("the client reports no error")

// defects lists all known ones. docs/interop.md has the same list.
var defects = []defect{
	{
		client: "curl", row: curlDirectoriesRow, pkg: "libssh2-1", first: "1.10.0-3+deb12u1",
		what:  "`symlink` makes the link, then fails with `Unknown error in libssh2` and exit code 21",
		shows: said("exit status 21", "symlink command failed: Unknown error in libssh2"),
		provoke: func(t *testing.T, a *account) error {
			err := curl(a, "--quote", "symlink file /tree/made", "--output", "/dev/null", curlURL(a, "/tree/"))
			linksTo(t, a.at("tree/made"), "file")
			return err
		},
	},
	{
		client: "FileZilla fzsftp", row: keepModePutRow, pkg: "filezilla", first: "3.63.0-1",
		what:  "`chmod` changes the mode, then ends as if it had failed",
		shows: said("chmod 604 ", " failed"),
		provoke: func(t *testing.T, a *account) error {
			err := errors.Join(puttyKey(a), fz(a, func(f *fzsftp) error { return f.do("chmod 604 /tree/file") }))
			hasMode(t, a.at("tree/file"), 0o604)
			return err
		},
	},
	{
		client: "net-sftp (Ruby)", row: linkRow, pkg: "ruby-net-sftp", first: "1:4.0.0-1",
		what:  "`symlink!(path, target)` exchanges link and target; `symlink!(target, path)` makes the link",
		shows: said(errExchanged.Error()),
		provoke: func(t *testing.T, a *account) error {
			must(t, netSFTP.rename("symlink")(a, "/tree/made", "/tree/other"))
			linksTo(t, a.at("tree/made"), "/tree/other")
			return errExchanged
		},
	},
	{
		client: "rclone", row: hostCertificateRow, pkg: "rclone", first: "1.60.1+dfsg-2",
		what:          "does not connect to a server that has a host certificate whose CA it does not know, although it knows the plain key",
		shows:         said("no authorities for hostname"),
		serverOptions: []sshdOptions{certifiedHost},
		provoke: func(t *testing.T, a *account) error {
			must(t, rcloneConfig(a))
			_, err := rclone(a, "lsf", "s:/tree/sub")
			return err
		},
	},
}

// said returns a symptom: an error whose text contains all these words.
func said(words ...string) func(error) bool {
	return func(err error) bool {
		for _, w := range words {
			if err == nil || !strings.Contains(err.Error(), w) {
				return false
			}
		}
		return true
	}
}

// hasIt reports whether a version of the package has the defect.
func (d *defect) hasIt(version string) bool {
	return version != "" && !older(version, d.first) && (d.fixed == "" || older(version, d.fixed))
}

// versions returns the affected versions, as text for the documentation.
func (d *defect) versions() string {
	if d.fixed == "" {
		return "from " + d.first
	}
	return "from " + d.first + ", before " + d.fixed
}

// older compares versions of Debian packages.
func older(a, b string) bool {
	return exec.Command("dpkg", "--compare-versions", a, "lt", b).Run() == nil
}

// packageVersion returns the version of a Debian package that is installed, or that hack/install-packages.sh unpacked. It is ""
// for any other package, and where there is no dpkg: no defects are known for those.
func packageVersion(pkg string) string {
	out, err := exec.Command("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}\n", pkg).Output()
	for line := range strings.Lines(string(out)) {
		if status, version, _ := strings.Cut(strings.TrimSpace(line), " "); err == nil && status == "installed" {
			return version
		}
	}
	cache, err := cacheDir()
	if err != nil {
		return ""
	}
	version, err := os.ReadFile(filepath.Join(cache, pkg, "version"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(version))
}

// client is a driver that uses an account, in one row of the table.
type client struct {
	*driver
	*account
	row string
}

// judge first checks the effect of a client's command, and only then the client's report: nil, an error, or errSilent. A wrong
// report despite the right effect must be a known defect of the client's version, which also shows up with OpenSSH's server.
func (c *client) judge(t *testing.T, said error, effect func()) {
	t.Helper()
	// Checking the effect may end the test.
	judged := false
	defer func() {
		if !judged && said != nil {
			t.Logf("the client: %v", said)
		}
	}()
	effect()
	if t.Failed() {
		t.FailNow()
	}
	judged = true
	if said == nil {
		return
	}
	for i := range defects {
		d := &defects[i]
		if d.client == c.name && d.row == c.row && d.hasIt(packageVersion(d.pkg)) && d.shows(said) {
			d.confirm(t)
			d.seen = true
			t.Logf("known defect: %s %s: %s", d.pkg, packageVersion(d.pkg), d.what)
			return
		}
	}
	t.Fatalf("the client did the right thing, but reports: %v", said)
}

// refuses is like judge, for a command that the client must report as failed.
func (c *client) refuses(t *testing.T, said error, effect func()) {
	t.Helper()
	if said == nil {
		c.judge(t, errSilent, effect)
		return
	}
	c.judge(t, nil, effect)
}

// confirm reproduces the defect with OpenSSH's server.
func (d *defect) confirm(t *testing.T) {
	t.Helper()
	a := sshdAccount(t, d.serverOptions...)
	if err := d.provoke(t, a); !d.shows(err) {
		t.Fatalf("%s %s is listed with a defect that OpenSSH's server does not show, so it is ours: %s; with OpenSSH's server the client says: %v",
			d.pkg, packageVersion(d.pkg), d.what, err)
	}
}

// notSeen finds a defect that the row should have encountered with the installed version, but did not. In the version that
// introduced the defect, the entry is wrong. A later version may have fixed it, which must not fail the tests: in that case,
// the entry needs the fixed version.
func (c *client) notSeen(t *testing.T) {
	t.Helper()
	for _, d := range defects {
		if d.client == c.name && d.row == c.row && !d.seen {
			d.over(t)
		}
	}
}

func (d *defect) over(t *testing.T) {
	t.Helper()
	version := packageVersion(d.pkg)
	switch {
	case !d.hasIt(version):
	case version == d.first:
		t.Errorf("%s %s is listed with a defect that it does not show: %s", d.pkg, version, d.what)
	default:
		t.Logf("%s %s does not show this anymore, so enter it as fixed: %s", d.pkg, version, d.what)
	}
}

// TestDefects checks the table itself.
func TestDefects(t *testing.T) {
	clients := map[string]bool{}
	for _, d := range drivers() {
		clients[d.name] = true
	}
	for _, d := range defects {
		if !clients[d.client] || d.row == "" || d.first == "" || d.what == "" || d.provoke == nil {
			t.Errorf("%+v", d)
		}
		if d.shows(nil) || d.shows(errors.New("exit status 1")) {
			t.Errorf("%s: any error shows it", d.what)
		}
	}
	if _, err := exec.LookPath("dpkg"); err != nil {
		missing(t, "dpkg")
	}
	d := defect{first: "1.10.0-3+deb12u1", fixed: "1.10.0-3+deb12u2"}
	for version, want := range map[string]bool{
		"": false, "1.9-1": false, "1.10.0-3+b1": false, "1.10.0-3+deb12u1": true, "1.10.0-3+deb12u1+b1": true,
		"1.10.0-3+deb12u2": false, "1.11-1": false,
	} {
		if got := d.hasIt(version); got != want {
			t.Errorf("%q has it: %v", version, got)
		}
	}
	d.fixed = ""
	if !d.hasIt("1.11-1") {
		t.Error("a defect without a fixed version counts as fixed")
	}
	if got := packageVersion("no-such-package"); got != "" {
		t.Errorf("no-such-package has version %q", got)
	}
}

// defectTable returns the table of defects for the documentation.
func defectTable() string {
	var b strings.Builder
	b.WriteString("## Known defects of clients\n\n" +
		"Defects of clients, by Debian package and version. A row checks the effect first, so none of these can hide a\n" +
		"fault of the daemon; and whenever one shows up, it must show up with OpenSSH's server as well.\n\n" +
		"| Client | Package, versions | Defect |\n|---|---|---|\n")
	for _, d := range defects {
		fmt.Fprintf(&b, "| %s | %s, %s | %s |\n", d.client, d.pkg, d.versions(), d.what)
	}
	return b.String()
}
