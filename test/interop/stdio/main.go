// Command stdio serves one directory over SFTP on standard input and output,
// as OpenSSH's sftp-server does and with its flags, so that tests made for that
// (sftp -D, sshfs, OpenSSH's regression scripts) run against our protocol code.
// It is for tests and development alone.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// stdio is the stream of a program that was started for one session.
type stdio struct {
	io.Reader
	io.Writer
}

func main() {
	// Short flags as in sftp-server(8), where they can be joined: -el debug3.
	root := pflag.String("root", "/", "directory to serve")
	resolver := pflag.String("resolver", "", "openat2 or os.Root")
	profile := pflag.String("cpuprofile", "", "file for a CPU profile")
	readOnly := pflag.BoolP("read-only", "R", false, "refuse every change")
	toStderr := pflag.BoolP("stderr", "e", false, "log to standard error")
	level := pflag.StringP("level", "l", "error", "log level, in OpenSSH's words")
	deny := pflag.StringP("deny", "P", "", "requests to refuse, separated by commas")
	allow := pflag.StringP("allow", "p", "", "requests to allow, all others are refused")
	pflag.Parse()
	if err := run(*root, *readOnly, *resolver, *profile, sftp.Options{
		Permit: permit(*allow, *deny),
		Logger: logger(*toStderr, *level),
	}); err != nil {
		fmt.Fprintln(os.Stderr, "stdio:", err)
		os.Exit(1)
	}
}

func run(root string, readOnly bool, resolver, profile string, opts sftp.Options) error {
	access := vfs.ReadWrite
	if readOnly {
		access = vfs.ReadOnly
	}
	tree, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: root, Access: access}}, vfs.WithResolver(vfs.Resolver(resolver)))
	if err != nil {
		return err
	}
	defer tree.Close()
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	return sftp.Serve(context.Background(), stdio{os.Stdin, os.Stdout}, tree, opts)
}

func permit(allow, deny string) func(string) bool {
	return func(request string) bool {
		return (allow == "" || slices.Contains(strings.Split(allow, ","), request)) &&
			!slices.Contains(strings.Split(deny, ","), request)
	}
}

func logger(toStderr bool, level string) *slog.Logger {
	if !toStderr {
		return nil
	}
	l := slog.LevelError
	if strings.HasPrefix(strings.ToLower(level), "debug") {
		l = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
}
