package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rcloneDriver returns the driver for rclone, which first requests a shell to hash files with, and must do without one.
func rcloneDriver() *driver {
	const anew = "starts every file from the beginning"
	return &driver{
		name: "rclone", tools: []string{"rclone"},
		setUp:    rcloneConfig,
		copy:     copier{rcloneEach("copyto", true), rcloneEach("copyto", false)},
		keepTime: copier{rcloneEach("copyto", true), rcloneEach("copyto", false)},
		mirror:   copier{rcloneEach("sync", true), rcloneEach("sync", false)},
		links:    linksFollowedOnServer,
		update:   rcloneEach("sync", true),
		rename:   rcloneRename, replace: rcloneRename,
		list: func(a *account, dir string) ([]string, error) {
			out, err := rclone(a, "lsf", "s:"+dir)
			return listed(out), err
		},
		space: func(a *account) (uint64, error) {
			out, err := rclone(a, "about", "--json", "s:")
			var about struct{ Total uint64 }
			return about.Total, errors.Join(err, json.Unmarshal([]byte(out), &about))
		},
		parallel: copier{rcloneAtOnce(true), rcloneAtOnce(false)},
		lacks: map[string]string{
			"resume an upload": anew, "resume a download": anew,
			"append":              "its sftp backend never opens a file for appending",
			"mode kept, upload":   "its sftp backend copies modification times, but not permissions",
			"mode kept, download": "its sftp backend copies modification times, but not permissions",
		},
		also: []special{{"check --download compares both sides", func(t *testing.T, c *client) {
			bring(t, c.remote, big)
			_, err := rclone(c.account, "check", "--download", c.local, "s:/")
			c.judge(t, err, func() { must(t, sameFiles(c.at(big), c.here(big))) })
			must(t, os.Remove(c.at(big))) // it is a link to the shared one
			write(t, c.at(big), "another")
			_, err = rclone(c.account, "check", "--download", c.local, "s:/")
			c.refuses(t, err, func() { holds(t, c.at(big), "another") })
		}}},
	}
}

func rcloneConfig(a *account) error {
	config := "[s]\ntype = sftp\nhost = " + a.host + "\nport = " + a.port + "\nuser = " + a.user + "\nknown_hosts_file = " + a.known + "\n"
	if a.password != "" {
		obscured, err := a.run(a.password, "rclone", "obscure", "-")
		if err != nil {
			return err
		}
		config += "pass = " + strings.TrimSpace(obscured) + "\n"
	} else {
		config += "key_file = " + a.key + "\n"
	}
	return os.WriteFile(filepath.Join(a.clientHome, "rclone.conf"), []byte(config), 0o600)
}

func rclone(a *account, args ...string) (string, error) {
	return a.run("", append([]string{
		"rclone", "--config", filepath.Join(a.clientHome, "rclone.conf"), "--retries", "1", "--low-level-retries", "1",
	}, args...)...)
}

func rcloneEach(command string, up bool) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		for _, p := range files {
			from, to := "s:"+p.from, a.here(p.to)
			if up {
				from, to = a.here(p.from), "s:"+p.to
			}
			if _, err := rclone(a, command, from, to); err != nil {
				return err
			}
		}
		return nil
	}
}

func rcloneRename(a *account, from, to string) error {
	_, err := rclone(a, "moveto", "s:"+from, "s:"+to)
	return err
}

// rcloneAtOnce copies files with one process, which keeps their names.
func rcloneAtOnce(up bool) func(*account, ...pair) error {
	return func(a *account, files ...pair) error {
		var names strings.Builder
		for _, p := range files {
			fmt.Fprintln(&names, filepath.Base(p.from))
		}
		from, to := "s:/", a.here("together")
		if up {
			from, to = a.local, "s:/"
		}
		list := filepath.Join(a.clientHome, "names")
		if err := os.WriteFile(list, []byte(names.String()), 0o600); err != nil {
			return err
		}
		if _, err := rclone(a, "copy", "--transfers", "8", "--files-from", list, from, to); err != nil || up {
			return err
		}
		for _, p := range files {
			if err := os.Rename(filepath.Join(to, filepath.Base(p.from)), a.here(p.to)); err != nil {
				return err
			}
		}
		return nil
	}
}
