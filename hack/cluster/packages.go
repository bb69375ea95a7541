package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// searchPath is where the system's programs are looked for: a user's PATH may lack the sbin folders.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// debianPackages maps the required programs to the Debian packages that have them.
var debianPackages = map[string]string{
	"containerd":              "containerd",
	"containerd-shim-runc-v2": "containerd",
	"ctr":                     "containerd",
	"runc":                    "runc",
	"iptables":                "iptables",
	"ip":                      "iproute2",
	"mount":                   "mount",
}

// cniFolders are where distributions put the CNI plugins.
var cniFolders = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// ensurePackages installs the Debian packages whose programs are missing.
func ensurePackages(ctx context.Context) error {
	missing := missingPackages(func(program string) bool { return find(program) != "" })
	if cniFolder() == "" {
		missing = append(missing, "containernetworking-plugins")
	}
	if len(missing) == 0 {
		return nil
	}
	if find("apt-get") == "" {
		return fmt.Errorf("missing on this machine: %s (Debian's names); there is no apt-get, so install them by hand", strings.Join(missing, ", "))
	}
	say("installing %s", strings.Join(missing, " "))
	install := append([]string{"install", "--yes", "--no-install-recommends"}, missing...)
	if aptGet(ctx, install...) != nil {
		// The package lists may be old or not there yet.
		if err := aptGet(ctx, "update"); err != nil {
			return err
		}
		if err := aptGet(ctx, install...); err != nil {
			return err
		}
	}
	return stopService(ctx, missing)
}

// missingPackages returns the packages of the programs that has does not find, sorted and without duplicates.
func missingPackages(has func(program string) bool) []string {
	var missing []string
	for program, pkg := range debianPackages {
		if !has(program) {
			missing = append(missing, pkg)
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// stopService stops the service that Debian's containerd package starts where systemd runs: the cluster has its own
// containerd. One that existed before is left alone.
func stopService(ctx context.Context, installed []string) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil || !slices.Contains(installed, "containerd") {
		return nil //nolint:nilerr // no systemd, no service
	}
	return command(ctx, "systemctl", "disable", "--now", "containerd.service")
}

func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// find returns the path of a system program, or "".
func find(program string) string {
	for dir := range strings.SplitSeq(searchPath, ":") {
		p := filepath.Join(dir, program)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

func cniFolder() string {
	i := slices.IndexFunc(cniFolders, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, "bridge"))
		return err == nil
	})
	if i < 0 {
		return ""
	}
	return cniFolders[i]
}

// command runs a system program; its output becomes part of the error.
func command(ctx context.Context, program string, args ...string) error {
	_, err := output(ctx, "", program, args...)
	return err
}

// output runs a system program with an input and returns what it writes.
func output(ctx context.Context, input, program string, args ...string) (string, error) {
	path := find(program)
	if path == "" {
		return "", fmt.Errorf("%s is not installed", program)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		message := strings.TrimSpace(string(out))
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			message = strings.TrimSpace(message + " " + string(exit.Stderr))
		}
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, message)
	}
	return string(out), nil
}
