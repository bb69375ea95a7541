package interop

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/interop.md")

const (
	docsFile    = "../../docs/interop.md"
	tablesBegin = "<!-- Generated: go test ./test/interop -run TestDocs -update -->\n"
	tablesEnd   = "<!-- End of the generated part -->\n"
)

// TestDocs compares the tables in docs/interop.md with what the tests do.
func TestDocs(t *testing.T) {
	docs := read(t, docsFile)
	head, rest, found := strings.Cut(docs, tablesBegin)
	_, tail, ended := strings.Cut(rest, tablesEnd)
	if !found || !ended {
		t.Fatal("no generated part")
	}
	want := head + tablesBegin + "\n" + clientTable() + "\n" + defectTable() + "\n" + suiteTables() + "\n" + scenarioTables() + "\n" + tablesEnd + tail
	if docs == want {
		return
	}
	if !*update {
		t.Fatal("docs/interop.md does not match the tests: go test ./test/interop -run TestDocs -update")
	}
	if err := os.WriteFile(docsFile, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

// clientTable returns a table with a row for each behavior and a column for each client. Where a client lacks something, there
// is a number, with the reason below the table.
func clientTable() string {
	var b strings.Builder
	all := drivers()
	b.WriteString("|")
	for _, d := range all {
		b.WriteString(" | " + d.name)
	}
	b.WriteString(" |\n|---" + strings.Repeat("|---", len(all)) + "|\n")
	var reasons []string
	row := func(name string, reason func(*driver) string) {
		b.WriteString("| " + name)
		for _, d := range all {
			cell := "ok"
			if name == roundTripsRow && d.large != 0 {
				cell = fmt.Sprintf("ok, %d MiB", d.large>>20)
			}
			if r := reason(d); r != "" {
				r = d.name + ": " + r
				if !slices.Contains(reasons, r) {
					reasons = append(reasons, r)
				}
				cell = fmt.Sprintf("[%d]", slices.Index(reasons, r)+1)
			}
			b.WriteString(" | " + cell)
		}
		b.WriteString(" |\n")
	}
	for _, name := range []string{keyLogin, passwordLogin, otherHostKey} {
		row(name, func(*driver) string { return "" })
	}
	for _, behavior := range behaviors() {
		row(behavior.name, func(d *driver) string { return d.lacks[behavior.name] })
	}
	b.WriteString("\nNot supported by the client:\n\n")
	for i, r := range reasons {
		fmt.Fprintf(&b, "%d. %s.\n", i+1, r)
	}
	b.WriteString("\nSymbolic links in mirrors, and what else is tested with a single client:\n\n")
	for _, d := range all {
		var more []string
		if d.links != "" {
			more = append(more, string(d.links))
		}
		for _, s := range d.also {
			more = append(more, s.name)
		}
		if len(more) > 0 {
			fmt.Fprintf(&b, "- %s: %s.\n", d.name, strings.Join(more, "; "))
		}
	}
	return b.String()
}

// suiteTables lists the suites and the tests that cannot pass.
func suiteTables() string {
	var b strings.Builder
	b.WriteString("## Suites of other projects\n\n| Suite | Passes | Cannot pass |\n|---|---|---|\n")
	fmt.Fprintf(&b, "| OpenSSH 9.2, regression scripts of sftp | %s | the package's other scripts are for other programs; [below](#openssh-scripts) |\n",
		strings.Join(openSSHScripts, ", "))
	for _, s := range []suite{pkgSFTP, rcloneFS} {
		failing := "nothing"
		if len(s.fails) > 0 {
			failing = fmt.Sprintf("%d tests, below", len(s.fails))
		}
		fmt.Fprintf(&b, "| %s | all others | %s |\n", s.name, failing)
	}
	b.WriteString("\n| Test that cannot pass | Reason |\n|---|---|\n")
	for _, s := range []suite{pkgSFTP, rcloneFS} {
		for _, name := range slices.Sorted(maps.Keys(s.fails)) {
			fmt.Fprintf(&b, "| %s: %s | %s |\n", s.module, name, s.fails[name])
		}
	}
	b.WriteString("\n### OpenSSH scripts\n\nScripts with sftp in their names that are not run:\n\n")
	for _, name := range slices.Sorted(maps.Keys(openSSHScriptsNotRun)) {
		fmt.Fprintf(&b, "- %s: %s.\n", name, openSSHScriptsNotRun[name])
	}
	return b.String()
}
