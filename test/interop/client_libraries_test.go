package interop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// library is a client library: a script or program that uses it does one thing at a time.
type library struct {
	command []string
	// script is the file in testdata that is the command's last word, if there is one.
	script string
}

// python is Debian's interpreter, for which Debian's modules are built.
const python = "/usr/bin/python3"

func (l library) run(a *account, operation string, args ...string) (string, error) {
	words := slices.Clone(l.command)
	if l.script != "" {
		path, err := filepath.Abs(filepath.Join("testdata", l.script))
		if err != nil {
			return "", err
		}
		words = append(words, path)
	}
	words = append(words, a.host, a.port, a.user, a.key, a.password, a.known, operation)
	return a.run("", append(words, args...)...)
}

func (l library) each(operation string) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		var args []string
		for _, p := range files {
			args = append(args, p.from, p.to)
		}
		_, err := l.run(a, operation, args...)
		return err
	}
}

func (l library) both(operation string) copier {
	return copier{l.each("put" + operation), l.each("get" + operation)}
}

func (l library) rename(operation string) func(*account, string, string) error {
	return func(a *account, from, to string) error { return l.each(operation)(a, pair{from, to}) }
}

func (l library) list(a *account, dir string) ([]string, error) {
	out, err := l.run(a, "list", dir)
	return listed(out), err
}

func (l library) space(a *account) (uint64, error) {
	out, err := l.run(a, "space")
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(out), 10, 64)
}

// driver returns what all libraries have in common.
func (l library) driver(name string) *driver {
	return &driver{
		name: name,
		copy: l.both(""), resume: l.both("-rest"), keepTime: l.both("-kept"), keepMode: l.both("-kept"),
		parallel: l.both("-at-once"),
		appendTo: func(a *account, local, remote string) error { return l.each("append")(a, pair{local, remote}) },
		rename:   l.rename("rename"), replace: l.rename("posix_rename"),
		list: l.list,
	}
}

func paramikoDriver() *driver {
	d := library{[]string{python}, "paramiko_client.py"}.driver("paramiko")
	d.tools = []string{python, "python3-paramiko"}
	d.lacks = map[string]string{
		latin1Names: "uploads and downloads them as bytes, but listing a directory that contains one raises a UnicodeDecodeError",
		"mirror up": filesAlone, "mirror down": filesAlone, "mirror again: only what changed, delete what is gone": filesAlone,
		"size of the file system (statvfs)": noStatvfs,
	}
	d.also = []special{{"everything else in one session: truncate, readv, exclusive open, links", func(t *testing.T, c *client) {
		must(t, os.Link(c.here(big), c.here("big")))
		script, err := filepath.Abs("testdata/paramiko_session.py")
		must(t, err)
		err = c.do("", python, script, c.host, c.port, c.user, c.key, c.password, c.known, c.local)
		c.judge(t, err, func() {
			for _, file := range []string{c.at("up"), c.at("pipelined"), c.here("back")} {
				must(t, sameFiles(file, c.here(big)))
			}
			gone(t, c.at("d"))
		})
	}}}
	return d
}

// linkRow is the row for a defect.
const linkRow = "symbolic links"

func asyncSSHDriver() *driver {
	l := library{[]string{python}, "asyncssh_client.py"}
	d := l.driver("asyncssh")
	d.tools = []string{python, "python3-asyncssh"}
	d.mirror, d.links = l.both("-tree"), linksFollowed
	d.space = l.space
	d.lacks = map[string]string{
		"mirror again: only what changed, delete what is gone": putSendsAll,
	}
	d.also = []special{l.symlinks(linkRow)}
	return d
}

// symlinks creates a link the way the library's documentation says. Libraries that send the arguments in the draft's order swap
// link and target, because no server follows it; the server created the link that it was asked for.
func (l library) symlinks(name string) special {
	return special{name, func(t *testing.T, c *client) {
		said := l.rename("symlink")(c.account, "target", "/link")
		if _, err := os.Lstat(c.at("target")); err == nil && said == nil {
			c.judge(t, errExchanged, func() { linksTo(t, c.at("target"), "/link") })
			return
		}
		c.judge(t, said, func() { linksTo(t, c.at("link"), "target") })
	}}
}

var errExchanged = errors.New("link and target are exchanged")

func ssh2Driver() *driver {
	l := library{[]string{"env", "SSH2_PACKAGES=" + nodePackages(), "node"}, "node/client.js"}
	d := l.driver("ssh2 (npm)")
	d.tools = []string{"node", "npm ssh2"}
	d.mirror, d.links = l.both("-tree"), linksFollowed
	d.space = l.space
	d.lacks = map[string]string{
		latin1Names: "its names are JavaScript strings, which it encodes as UTF-8",
		"mirror again: only what changed, delete what is gone": "its uploadDir sends everything and deletes nothing",
	}
	d.also = []special{l.session(), {"400 files at the same time (Promise.all)", func(t *testing.T, c *client) { copiesMany(t, c, 400) }}}
	return d
}

// copiesMany has a client copy many files at the same time, in one session: it opens all of them before it closes the first.
func copiesMany(t *testing.T, c *client, n int) {
	t.Helper()
	var up, down []pair
	for i := range n {
		name := fmt.Sprint("m", i)
		write(t, c.here(name), name)
		up, down = append(up, pair{name, "/" + name}), append(down, pair{"/" + name, "back-" + name})
	}
	c.judge(t, c.parallel.put(c.account, up...), func() {
		for _, p := range up {
			holds(t, c.at(p.to), p.from)
		}
	})
	c.judge(t, c.parallel.get(c.account, down...), func() {
		for i, p := range up {
			holds(t, c.here(down[i].to), p.from)
		}
	})
}

// nodePackages returns where hack/install-packages.sh installs testdata/node/package-lock.json.
func nodePackages() string {
	cache, err := cacheDir()
	if err != nil {
		return fmt.Sprint("no cache: ", err)
	}
	return filepath.Join(cache, "interop-node")
}
