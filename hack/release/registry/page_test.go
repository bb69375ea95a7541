package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page is where users find how to verify a release.
const page = "../../../docs/verifying.md"

// signer are the flags of the page's commands which name who signed a release.
const signer = ` --certificate-identity "$IDENTITY" --certificate-oidc-issuer "$ISSUER"`

// keyFlags finds what the page says to give instead of them if a release is signed with a key.
var keyFlags = regexp.MustCompile("cosign accepts such a key as well, with `([^`]+)`")

// documented returns the commands of the page that verify something, in order.
func documented(t *testing.T) (commands []string, withKey string) {
	t.Helper()
	text := string(must(os.ReadFile(page))(t))
	inShell := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			inShell = line == "```sh"
		case inShell && (strings.HasPrefix(line, "cosign ") || strings.HasPrefix(line, "sha256sum --check")):
			commands = append(commands, line)
		}
	}
	found := keyFlags.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("%s does not say how cosign uses a key: %s", page, keyFlags)
	}
	return commands, found[1]
}

// TestPage: the page has the commands that these tests run, each with the identity of the signer.
func TestPage(t *testing.T) {
	want := []string{verifyImage, verifyOrigin, verifyBill, verifyChart, verifyList, verifySums}
	var got []string
	commands, _ := documented(t)
	for _, command := range commands {
		plain := strings.Replace(command, signer, "", 1)
		if strings.HasPrefix(command, "cosign ") && plain == command {
			t.Errorf("%s: a command does not name who signed: %s", page, command)
		}
		got = append(got, plain)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s has the commands\n%s\nwant\n%s", page, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestPageTable: the page's table of refused changes matches the tests.
func TestPageTable(t *testing.T) {
	text := string(must(os.ReadFile(page))(t))
	_, table, _ := strings.Cut(text, "| Change | Refused by |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var want strings.Builder
	for _, c := range tamperings {
		by := []string{"registry verify"}
		for _, command := range c.commands {
			if name := shortName(command); !slices.Contains(by, name) {
				by = append(by, name)
			}
		}
		want.WriteString("| " + c.title + " | `" + strings.Join(by, "`, `") + "` |\n")
	}
	if got := table + "\n"; got != want.String() {
		t.Errorf("the table of %s is not that of the tests, which is:\n%s", page, &want)
	}
}

// shortName returns what to call a command of the page in a table.
func shortName(command string) string {
	if strings.HasPrefix(command, "sha256sum") {
		return "sha256sum --check"
	}
	command, _, _ = strings.Cut(command, " --bundle")
	command, _, _ = strings.Cut(command, ` "$`)
	return command
}
