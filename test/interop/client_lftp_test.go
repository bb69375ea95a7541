package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// lftpDriver returns the driver for lftp, which runs ssh.
func lftpDriver() *driver {
	return &driver{
		name: "lftp", tools: []string{"lftp", "ssh", "sshpass"},
		copy:     copier{lftpEach("put %s -o %s"), lftpEach("get %s -o %s")},
		resume:   copier{lftpEach("put -c %s -o %s"), lftpEach("get -c %s -o %s")},
		keepTime: copier{lftpEach("put %s -o %s"), lftpEach("get %s -o %s")},
		keepMode: copier{
			// mirror preserves permissions and names: hence the renaming.
			lftpEach("mirror -R -f %[1]s -O /\nmv %[1]s %[2]s"),
			lftpEach("mirror -f %[1]s\n!mv .%[1]s %[2]s"),
		},
		mirror: copier{lftpEach("mirror -R %s %s"), lftpEach("mirror %s %s")},
		links:  linksKept,
		update: lftpEach("mirror -R --delete %s %s"),
		rename: func(a *account, from, to string) error {
			return lftpEach("mv %s %s")(a, pair{from, to})
		},
		list: func(a *account, dir string) ([]string, error) {
			out, err := lftp(a, "cd "+lftpQuote(dir), "cls -1a")
			names := listed(out)
			return slices.DeleteFunc(names, func(name string) bool { return name == "./" || name == "../" }), err
		},
		parallel: copier{lftpAtOnce("put %s -o %s &"), lftpAtOnce("get %s -o %s &")},
		lacks: map[string]string{
			"append":                            "no command; `put -c` continues after the existing content, which must be the beginning of the file",
			"rename over a file":                "sends only SSH_FXP_RENAME, which never replaces a file",
			"size of the file system (statvfs)": "no command",
		},
		also: []special{{"one file in three parts at the same time (pget)", func(t *testing.T, c *client) {
			bring(t, c.remote, big)
			_, err := lftp(c.account, "pget -n 3 /"+big+" -o parts")
			c.judge(t, err, func() { must(t, sameFiles(c.here("parts"), c.here(big))) })
		}}},
	}
}

func lftp(a *account, commands ...string) (string, error) {
	script := `set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 60; set sftp:charset ISO-8859-1; set file:charset ISO-8859-1
set sftp:connect-program "` + a.ssh() + `"
open -u ` + a.user + ",none sftp://" + a.host + ":" + a.port + "\n" + strings.Join(commands, "\n") + "\n"
	return a.run(script, "lftp", "-f", "/dev/stdin")
}

func lftpQuote(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

func lftpEach(format string) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		var commands []string
		for _, p := range files {
			commands = append(commands, fmt.Sprintf(format, lftpQuote(p.from), lftpQuote(p.to)))
		}
		_, err := lftp(a, commands...)
		return err
	}
}

// lftpAtOnce runs commands in the background, each on its own connection.
func lftpAtOnce(format string) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		var commands []string
		for _, p := range files {
			commands = append(commands, fmt.Sprintf(format, lftpQuote(p.from), lftpQuote(p.to)))
		}
		_, err := lftp(a, append(commands, "wait all")...)
		return err
	}
}
