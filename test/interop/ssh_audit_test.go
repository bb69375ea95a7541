package interop

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// auditLine is a finding of ssh-audit in batch mode.
var auditLine = regexp.MustCompile(`^\((kex|key|enc|mac|aut|sec|cve|gen|fin)\) .*\[(warn|fail)\]`)

// TestSSHAudit: docs/crypto-policies.md explains ssh-audit's findings for each policy, line by line. The page has all findings,
// and only those. The default and Strict2026 have no [fail].
//
// The wording is that of ssh-audit 2.5, the version in Debian 12.
func TestSSHAudit(t *testing.T) {
	tool(t, "ssh-audit")
	columns := explanations(t)
	for _, tc := range []struct {
		column, policy string
		hostKeys       []string
		mayFail        bool
	}{
		{"Modern2026", cryptopolicy.Modern2026, []string{hostEd25519, hostRSA}, false},
		{"Modern2026, ECDSA host key", cryptopolicy.Modern2026, []string{hostECDSA}, true},
		{"Strict2026", cryptopolicy.Strict2026, []string{hostEd25519, hostRSA}, false},
		{"Fips2026", cryptopolicy.Fips2026, []string{hostEd25519, hostECDSA, hostRSA}, true},
		{"Legacy2026", cryptopolicy.Legacy2026, []string{hostEd25519, hostECDSA, hostRSA}, true},
	} {
		t.Run(tc.column, func(t *testing.T) {
			explained, ok := columns[tc.column]
			if !ok {
				t.Fatalf("docs/crypto-policies.md has no column %q", tc.column)
			}
			delete(columns, tc.column)
			said := sshAudit(t, daemontest.Start(t, withPolicy(t, tc.policy, tc.hostKeys...)).Addr)
			for _, line := range said {
				if strings.Contains(line, "[fail]") && !tc.mayFail {
					t.Errorf("%s", line)
				}
				if !slices.Contains(explained, line) {
					t.Errorf("not explained in docs/crypto-policies.md: %s", line)
				}
			}
			for _, line := range explained {
				if !slices.Contains(said, line) {
					t.Errorf("explained in docs/crypto-policies.md, but not a finding: %s", line)
				}
			}
		})
	}
	for column := range columns {
		t.Errorf("docs/crypto-policies.md has a column %q without a test", column)
	}
}

// sshAudit returns the findings of ssh-audit.
func sshAudit(t *testing.T, addr string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	// Its exit code also reflects findings: 2 for [warn], 3 for [fail], 1 for no connection.
	out, err := exec.CommandContext(t.Context(), "ssh-audit", "--no-colors", "--batch", "--timeout=20", "--port="+port, host).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() == 1) {
		t.Fatalf("%v: %s", err, out)
	}
	var findings []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); auditLine.MatchString(line) {
			findings = append(findings, line)
		}
	}
	if !strings.Contains(string(out), "(kex) mlkem768x25519-sha256") {
		t.Fatalf("no audit:\n%s", out)
	}
	return findings
}

// explanations reads the table in docs/crypto-policies.md: the lines in the column of an endpoint.
func explanations(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/crypto-policies.md")
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string][]string{}
	var names []string
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "`", "")
		}
		switch {
		case cells[0] == "ssh-audit says":
			names = cells[1 : len(cells)-1]
			for _, name := range names {
				columns[name] = nil
			}
		case !strings.HasPrefix(line, "| `("):
		case len(cells) != len(names)+2 || cells[len(cells)-1] == "":
			t.Errorf("a row with missing cells: %s", line)
		default:
			for i, name := range names {
				if cells[i+1] != "" {
					columns[name] = append(columns[name], cells[0])
				}
			}
		}
	}
	return columns
}
