package interop

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// openSSHDriver returns the driver for OpenSSH's sftp, which reads its commands from a batch.
func openSSHDriver() *driver {
	return &driver{
		name: "OpenSSH sftp", tools: []string{"sftp", "sshpass"},
		copy:     copier{sftpEach("put"), sftpEach("get")},
		resume:   copier{sftpEach("reput"), sftpEach("reget")},
		keepTime: copier{sftpEach("put -p"), sftpEach("get -p")},
		keepMode: copier{sftpEach("put -p"), sftpEach("get -p")},
		mirror:   copier{sftpEach("put -R"), sftpEach("get -R")},
		links:    linksLeftOut,
		rename:   sftpRename, replace: sftpRename,
		list: func(a *account, dir string) ([]string, error) {
			out, err := sftpBatch(a, "cd "+sftpQuote(dir), "ls -1a")
			names := listed(out)
			for i, name := range names {
				names[i] = octal.ReplaceAllStringFunc(name, func(escape string) string {
					code, _ := strconv.ParseUint(escape[1:], 8, 8) // three octal digits are one
					return string([]byte{byte(code)})
				})
			}
			return names, err
		},
		space: func(a *account) (uint64, error) {
			out, err := sftpBatch(a, "df /")
			if err != nil {
				return 0, err
			}
			// A title line, then kibibytes.
			lines := strings.Split(strings.TrimSpace(out), "\n")
			kib, err := strconv.ParseUint(strings.Fields(lines[len(lines)-1])[0], 10, 64)
			return kib << 10, err
		},
		lacks: map[string]string{
			"append": "no command; its reput continues after the existing content, which must be the beginning of the file",
			"mirror again: only what changed, delete what is gone": "no such mode: `put -R` sends everything and deletes nothing",
		},
		also: []special{{"copy on the server (copy-data), hard and symbolic links", sftpCopies}},
	}
}

// octal matches how sftp prints a byte for which the locale has no character.
var octal = regexp.MustCompile(`\\[0-3][0-7]{2}`)

// sftpCommand returns the command line of an sftp that reads a batch.
func sftpCommand(a *account, batch string) []string {
	words := strings.Fields(a.ssh())
	var args []string
	if words[0] == "sshpass" {
		args, words = append(args, words[:3]...), words[3:]
	}
	// ssh takes the same options as sftp, except for -a, -x and -p, which it spells differently.
	var options []string
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-a", "-x":
		case "-p":
			options = append(options, "-P")
		default:
			options = append(options, words[i])
		}
	}
	args = append(args, "sftp", "-q", "-o", "BatchMode="+map[bool]string{true: "no", false: "yes"}[a.password != ""])
	return append(append(args, options...), "-b", batch, a.user+"@"+a.host)
}

// sftpBatch returns what the commands print, without the commands, which sftp echoes.
func sftpBatch(a *account, commands ...string) (string, error) {
	out, err := a.run(strings.Join(commands, "\n")+"\n", sftpCommand(a, "-")...)
	var printed strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "sftp> ") {
			printed.WriteString(line)
		}
	}
	return printed.String(), err
}

// sftpQuote quotes a word. A backslash makes any byte literal, including those of glob patterns.
func sftpQuote(word string) string {
	var quoted strings.Builder
	for i := range len(word) {
		if strings.IndexByte(" '\"\\*?[]#", word[i]) >= 0 {
			quoted.WriteByte('\\')
		}
		quoted.WriteByte(word[i])
	}
	return quoted.String()
}

func sftpEach(command string) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		var commands []string
		for _, p := range files {
			commands = append(commands, command+" "+sftpQuote(p.from)+" "+sftpQuote(p.to))
		}
		_, err := sftpBatch(a, commands...)
		return err
	}
}

func sftpRename(a *account, from, to string) error {
	_, err := sftpBatch(a, "rename "+sftpQuote(from)+" "+sftpQuote(to))
	return err
}

func sftpCopies(t *testing.T, c *client) {
	out, err := sftpBatch(c.account, "put "+big+" /up", "cp /up /copy", "get /copy back", "ln /up /hard", "ln -s up /soft", "ls -l /", "rm /up")
	c.judge(t, err, func() {
		for _, file := range []string{c.here("back"), c.at("copy"), c.at("hard")} {
			must(t, sameFiles(file, c.here(big)))
		}
		linksTo(t, c.at("soft"), "up")
		gone(t, c.at("up"))
		if n := strings.Count(out, " 1048577 "); n != 3 {
			t.Errorf("ls -l shows %d files of the length of one:\n%s", n, out)
		}
	})
}

// listed splits a listing with one name per line.
func listed(out string) []string {
	var names []string
	for line := range strings.Lines(out) {
		if name := strings.TrimRight(line, "\r\n"); name != "" && name != "." && name != ".." {
			names = append(names, name)
		}
	}
	return names
}
