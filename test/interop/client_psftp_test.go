package interop

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// psftpDriver returns the driver for PuTTY's psftp. It is given the host key, and accepts private keys in PuTTY's format only.
func psftpDriver() *driver {
	return &driver{
		name: "psftp", tools: []string{"psftp", "puttygen"},
		setUp:    puttyKey,
		copy:     copier{psftpEach("put"), psftpEach("get")},
		resume:   copier{psftpEach("reput"), psftpEach("reget")},
		keepMode: copier{psftpEach("put"), psftpEach("get")},
		mirror:   copier{psftpEach("put -r"), psftpEach("get -r")},
		links:    linksFollowed,
		rename: func(a *account, from, to string) error {
			return psftpEach("mv")(a, pair{from, to})
		},
		list: func(a *account, dir string) ([]string, error) {
			out, err := psftp(a, "ls "+puttyQuote(strings.TrimSuffix(dir, "/")+"/"))
			return longListed(out), err
		},
		shows: func(name string) string { return strings.ToValidUTF8(name, "") },
		lacks: map[string]string{
			"append": "no command; its reput continues after the existing content, which must be the beginning of the file",
			"mirror again: only what changed, delete what is gone": "no such mode: `put -r` sends everything and deletes nothing",
			"rename over a file":                "its mv sends only SSH_FXP_RENAME, which never replaces a file",
			"time kept, upload":                 "sets no times",
			"time kept, download":               "sets no times",
			"size of the file system (statvfs)": "no command",
		},
	}
}

// puttyKey converts an account's key.
func puttyKey(a *account) error {
	if a.key == "" {
		return nil
	}
	return a.do("", "puttygen", a.key, "-o", filepath.Join(a.clientHome, "id.ppk"))
}

// psftp runs a batch, which ends at the first command that fails.
func psftp(a *account, commands ...string) (string, error) {
	args := []string{"psftp", "-batch", "-noagent", "-P", a.port, "-hostkey", ssh.FingerprintSHA256(a.hostKey)}
	if a.key != "" {
		args = append(args, "-i", filepath.Join(a.clientHome, "id.ppk"))
	} else {
		args = append(args, "-pw", a.password)
	}
	args = append(args, "-b", "/dev/stdin", a.user+"@"+a.host)
	return a.run(strings.Join(commands, "\n")+"\n", args...)
}

// puttyQuote quotes a word, in which a quotation mark is doubled.
func puttyQuote(word string) string { return `"` + strings.ReplaceAll(word, `"`, `""`) + `"` }

func psftpEach(command string) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		var commands []string
		for _, p := range files {
			commands = append(commands, command+" "+puttyQuote(p.from)+" "+puttyQuote(p.to))
		}
		_, err := psftp(a, commands...)
		return err
	}
}

// longLine matches a line as ls -l prints it: mode, links, owner, group, size, month, day, time or year, name.
var longLine = regexp.MustCompile(`^[-dlps][-rwxsStT]{9} +(?:\S+ +){7}(.*)$`)

// longListed finds the names in a listing of long lines.
func longListed(out string) []string {
	var names []string
	for line := range strings.Lines(out) {
		if found := longLine.FindStringSubmatch(strings.TrimRight(line, "\r\n")); len(found) == 2 {
			names = append(names, found[1])
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "." || name == ".." })
}
