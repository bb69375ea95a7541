package interop

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// normalization removes, from the output of some commands, what necessarily differs.
type normalization struct {
	what, reason string
	of           *regexp.Regexp // commands
	to           func(output string) string
	used         bool // during a run; one that was not used should be deleted
}

var normalizations = []normalization{
	{
		what:   "times of files that are created in the run",
		reason: "the runs are at different times. Times that were set are compared",
		of:     regexp.MustCompile(`^-?ls `),
		to:     replace(`[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d `, "Mmm dd hh:mm "),
	},
	{
		what:   "the name of root in listings",
		reason: "IDs have no names here, so users-groups-by-id returns only numbers. OpenSSH's server cannot name other users in its chroot either",
		of:     regexp.MustCompile(`^-?ls `),
		to:     replace(` root {5}root {4}`, " 0        0       "),
	},
	{
		what:   "the figures of `df`",
		reason: "other programs also use the file system. The test only checks that there are figures",
		of:     regexp.MustCompile(`^-?df\b`),
		to:     replace(` *[0-9.]+[BKMGTPE%]*`, " N"),
	},
	{
		what:   "the order of lines where the client walks through directories (`get -R`, `put -R`, `ls */*`)",
		reason: "it is the order of the directory entries on the disk",
		of:     regexp.MustCompile(`^-?((get|put) -R|ls .*\*/)`),
		to: func(output string) string {
			lines := strings.SplitAfter(output, "\n")
			slices.Sort(lines)
			return strings.Join(lines, "")
		},
	},
}

func replace(pattern, with string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(s string) string { return re.ReplaceAllString(s, with) }
}

// difference is what OpenSSH's server does with a command or file, what the daemon does, and why.
type difference struct{ openSSH, ours, reason string }

const (
	specialBits = "the daemon masks the special bits, so that nothing on a volume runs with other rights"
	homeIsFixed = "the home is a mount point, and the answer says that those cannot be changed; to OpenSSH's server it is a directory in use"
	ownNames    = "the daemon reserves names with this prefix for uploads that are not published yet"
)

// differences lists all accepted ones. A key is a command as the client echoes it, or a file.
var differences = map[string]difference{
	"sftp> ls -l r2": {
		"-rwsr-xr-x    ? 12345    12345           4 Mmm dd hh:mm r2\n",
		"-rwxr-xr-x    ? 12345    12345           4 Mmm dd hh:mm r2\n", specialBits,
	},
	"tree/m3":  {"dgrwxr-xr-x 12345:12345", "drwxr-xr-x 12345:12345", specialBits},
	"tree/new": {"dtrwxrwx--- 12345:12345", "drwxrwx--- 12345:12345", specialBits},
	"sftp> -chmod 755 /": {
		"remote setstat \"/\": Permission denied\n", "",
		"the home, which is root's in this tree, keeps its mode here, regardless of its owner. Requesting the current mode succeeds; requesting a different one fails on both",
	},
	"sftp> -rename / r6": {
		"remote rename \"/\" to \"/tree/r6\": Failure\n", "remote rename \"/\" to \"/tree/r6\": Permission denied\n", homeIsFixed,
	},
	"sftp> -rm /":    {"remote delete /: Failure\n", "remote delete /: Permission denied\n", homeIsFixed},
	"sftp> -rmdir /": {"remote rmdir \"/\": Failure\n", "remote rmdir \"/\": Permission denied\n", homeIsFixed},
	"sftp> -put up/one single/.sftpd-upload.one": {
		"", "dest open \"/tree/single/.sftpd-upload.one\": Permission denied\n", ownNames,
	},
	"tree/single/.sftpd-upload.one": {
		"-rw-r--r-- 12345:12345 links=1 size=4 sha256=" + sum("one\n"), "", ownNames,
	},
}

// scenarioTables lists what is not compared and what differs.
func scenarioTables() string {
	var b strings.Builder
	b.WriteString("## The same scenario against OpenSSH's server\n\n" +
		"OpenSSH's sftp runs [one batch of commands](../test/interop/testdata/scenario.batch) against OpenSSH's internal-sftp in a\n" +
		"ChrootDirectory and against the daemon: equal files, the same unprivileged Unix user, the same umask. What the client prints\n" +
		"must be the same, and so must all files on both sides afterwards: names, types, owners, modes, links, sizes, SHA-256,\n" +
		"and times that were set. `TestScenario` fails if there is a difference that is not listed, or if a listed one does not occur.\n" +
		"\nNot compared:\n\n")
	for _, n := range normalizations {
		fmt.Fprintf(&b, "- %s: %s.\n", n.what, n.reason)
	}
	b.WriteString("\nAll differences:\n\n| Command, or file | OpenSSH's server | Here | Reason |\n|---|---|---|---|\n")
	for _, where := range slices.Sorted(maps.Keys(differences)) {
		d := differences[where]
		nothing := "no file"
		if command, ok := strings.CutPrefix(where, "sftp> "); ok {
			where, nothing = strings.TrimPrefix(command, "-"), "no message"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", where, codeLines(d.openSSH, nothing), codeLines(d.ours, nothing), d.reason)
	}
	return b.String()
}

// codeLines formats lines for a table cell.
func codeLines(text, nothing string) string {
	if text == "" {
		return nothing
	}
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, "`"+strings.TrimSuffix(line, "\n")+"`")
	}
	return strings.Join(lines, "<br>")
}
