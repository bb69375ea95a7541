package interop

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// curlDriver returns the driver for curl, which uses libssh2 and looks for the host key in ~/.ssh/known_hosts.
func curlDriver() *driver {
	const filesAlone = "copies files, but not directories"
	return &driver{
		name: "curl", tools: []string{"curl"},
		copy:   copier{curlPut(), curlGet()},
		resume: copier{curlPut("--continue-at", "-"), curlGet("--continue-at", "-")},
		keepTime: copier{
			put: curlAfter(func(st os.FileInfo) string {
				return "mtime \"" + st.ModTime().UTC().Format("20060102 15:04:05 MST") + "\""
			}),
			get: curlGet("--remote-time"),
		},
		keepMode: copier{put: curlAfter(func(st os.FileInfo) string { return fmt.Sprintf("chmod %o", st.Mode().Perm()) })},
		appendTo: func(a *account, local, remote string) error { return curlPut("--append")(a, pair{local, remote}) },
		rename: func(a *account, from, to string) error {
			return curl(a, "--quote", "rename "+from+" "+to, "--output", "/dev/null", curlURL(a, "/"))
		},
		list: func(a *account, dir string) ([]string, error) {
			out, err := a.run("", curlArgs(a, "--list-only", curlURL(a, strings.TrimSuffix(dir, "/")+"/"))...)
			return listed(out), err
		},
		space:    curlSpace,
		parallel: copier{curlPut("--parallel"), curlGet("--parallel")},
		lacks: map[string]string{
			"mirror up": filesAlone, "mirror down": filesAlone,
			"mirror again: only what changed, delete what is gone": filesAlone,
			"mode kept, download": "has no option for it",
			"rename over a file":  "its libssh2 (before 1.11) sends only SSH_FXP_RENAME, which never replaces a file",
		},
		also: []special{
			{"ranges", curlRanges},
			{curlDirectoriesRow, curlDirectories},
		},
	}
}

const curlDirectoriesRow = "make missing directories, link, exit code 78 for missing files"

func curlArgs(a *account, args ...string) []string {
	base := []string{"curl", "-q", "--silent", "--show-error", "--globoff", "--user", a.user + ":" + a.password}
	if a.key != "" {
		base = append(base, "--key", a.key)
	}
	return append(base, args...)
}

func curl(a *account, args ...string) error { return a.do("", curlArgs(a, args...)...) }

func curlURL(a *account, path string) string {
	var escaped strings.Builder
	for i, name := range strings.Split(path, "/") {
		if i > 0 {
			escaped.WriteByte('/')
		}
		escaped.WriteString(url.PathEscape(name))
	}
	return "sftp://" + net.JoinHostPort(a.host, a.port) + escaped.String()
}

func curlPut(options ...string) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		args := options
		for _, p := range files {
			args = append(args, "--upload-file", p.from, curlURL(a, p.to))
		}
		return curl(a, args...)
	}
}

func curlGet(options ...string) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		args := options
		for _, p := range files {
			args = append(args, "--output", p.to, curlURL(a, p.from))
		}
		return curl(a, args...)
	}
}

// curlAfter uploads files, and sends a command about each one afterwards.
func curlAfter(command func(os.FileInfo) string) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		for _, p := range files {
			st, err := os.Stat(a.here(p.from))
			if err != nil {
				return err
			}
			if err := curlPut("--quote", "-"+command(st)+" "+p.to)(a, p); err != nil {
				return err
			}
		}
		return nil
	}
}

var statvfsLine = regexp.MustCompile(`f_frsize: *(\d+)(?s:.*)f_blocks: *(\d+)`)

func curlSpace(a *account) (uint64, error) {
	out, err := a.run("", curlArgs(a, "--dump-header", "-", "--list-only", "--quote", "statvfs /", curlURL(a, "/"))...)
	if err != nil {
		return 0, err
	}
	found := statvfsLine.FindStringSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("no statvfs in %q", out)
	}
	unit, err := strconv.ParseUint(found[1], 10, 64)
	if err != nil {
		return 0, err
	}
	blocks, err := strconv.ParseUint(found[2], 10, 64)
	return unit * blocks, err
}

func curlRanges(t *testing.T, c *client) {
	data := read(t, c.here(big))
	write(t, c.at("range"), data)
	for _, r := range []struct{ option, want string }{
		{"5-70004", data[5:70005]}, {"1000000-", data[1000000:]}, {"-9", data[len(data)-9:]}, {"0-0", data[:1]},
	} {
		out, err := c.run("", curlArgs(c.account, "--range", r.option, curlURL(c.account, "/range"))...)
		c.judge(t, err, func() {
			if out != r.want {
				t.Errorf("--range %s: %d bytes, want %d", r.option, len(out), len(r.want))
			}
		})
	}
}

func curlDirectories(t *testing.T, c *client) {
	a := c.account
	c.judge(t, curl(a, "--upload-file", big, "--ftp-create-dirs", curlURL(a, "/new/dir/up")), func() {
		must(t, sameFiles(c.at("new/dir/up"), c.here(big)))
	})
	c.judge(t, curl(a, "--quote", "symlink dir/up /new/link", "--output", "/dev/null", curlURL(a, "/new/")), func() {
		linksTo(t, c.at("new/link"), "dir/up")
	})
	out, err := a.run("", curlArgs(a, curlURL(a, "/new/"))...)
	c.judge(t, err, func() {
		if !strings.Contains(out, "link -> dir/up\n") {
			t.Errorf("no link in the listing:\n%s", out)
		}
	})
	err = curl(a, "--output", "nothing", curlURL(a, "/nothing"))
	c.refuses(t, err, func() { gone(t, c.here("nothing")) })
	if !strings.Contains(err.Error(), "exit status 78") {
		c.judge(t, err, func() {})
	}
}
