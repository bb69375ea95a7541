package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// stdioFlags are those of sftp-server(8) except -f, because there is no syslog here, and three more.
type stdioFlags struct {
	start, level, umask, query string
	deny, allow                []string
	readOnly, toStderr         bool

	root, resolver string
}

// runStdio serves one session for a user who has logged in by other means: a client that starts its
// server itself, or an sshd with this as its subsystem. It has that user's permissions, and no jail
// without --root.
func runStdio(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var f stdioFlags
	// Short flags can be joined (-el debug3), which package flag does not know.
	flags := pflag.NewFlagSet("sftpd stdio", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVarP(&f.start, "start", "d", "",
		"`directory` that relative paths start at; %d is the user's home, %u the name (default: the working directory, or / with --root)")
	flags.BoolVarP(&f.toStderr, "stderr", "e", false, "log to standard error; without it, nothing is logged")
	flags.StringVarP(&f.level, "level", "l", "ERROR", "log `level`: "+strings.Join(stdioLevels, ", "))
	flags.StringSliceVarP(&f.deny, "deny", "P", nil, "`requests` to refuse, separated by commas")
	flags.StringSliceVarP(&f.allow, "allow", "p", nil, "permit only these `requests`, separated by commas")
	flags.StringVarP(&f.query, "query", "Q", "", "list the values of a `feature`: requests")
	flags.BoolVarP(&f.readOnly, "read-only", "R", false, "refuse every change")
	flags.StringVarP(&f.umask, "umask", "u", "", "octal `mask` of permissions that new files do not get")
	flags.StringVar(&f.root, "root", "/", "`directory` to serve as /, which no request can leave")
	flags.StringVar(&f.resolver, "resolver", "", "how paths are confined to the root: openat2 or os.Root (default what the kernel supports)")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return 0
		}
		fmt.Fprintln(stderr, "sftpd stdio:", err)
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "sftpd stdio: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	if f.query != "" {
		return query(f.query, stdout, stderr)
	}
	opts, err := f.options(stderr)
	if err != nil {
		fmt.Fprintln(stderr, "sftpd stdio:", err)
		return 2
	}
	if err := f.serve(stdin, stdout, opts); err != nil {
		fmt.Fprintln(stderr, "sftpd stdio:", err)
		return 1
	}
	return 0
}

func query(feature string, stdout, stderr io.Writer) int {
	if feature != "requests" {
		fmt.Fprintf(stderr, "sftpd stdio: %q is not a known feature, only requests\n", feature)
		return 2
	}
	fmt.Fprintln(stdout, strings.Join(sftp.Requests(), "\n"))
	return 0
}

// stdioLevels are OpenSSH's names.
var stdioLevels = []string{"QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3"}

// options checks the flags, and sets the umask.
func (f *stdioFlags) options(stderr io.Writer) (sftp.Options, error) {
	var opts sftp.Options
	// A misspelled name must not allow what was meant to be refused.
	known := sftp.Requests()
	for _, name := range slices.Concat(f.deny, f.allow) {
		if !slices.Contains(known, name) {
			return opts, fmt.Errorf("%q is not a request; sftpd stdio -Q requests lists them", name)
		}
	}
	if f.deny != nil || f.allow != nil {
		opts.Permit = func(request string) bool {
			return !slices.Contains(f.deny, request) && (f.allow == nil || slices.Contains(f.allow, request))
		}
	}
	level := strings.ToUpper(f.level)
	if !slices.Contains(stdioLevels, level) {
		return opts, fmt.Errorf("log level %q is not one of %s", f.level, strings.Join(stdioLevels, ", "))
	}
	if f.toStderr && level != "QUIET" {
		least := slog.LevelError
		if strings.HasPrefix(level, "DEBUG") {
			least = slog.LevelDebug
		}
		opts.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: least}))
	}
	if f.umask != "" {
		mask, err := strconv.ParseUint(f.umask, 8, 32)
		if err != nil || mask > 0o777 {
			return opts, fmt.Errorf("umask %q is not an octal number from 0 to 777", f.umask)
		}
		syscall.Umask(int(mask))
	}
	return opts, nil
}

// serve returns when the client closes its stream. A client that no longer reads causes an error, not death by SIGPIPE, because
// open files have to be closed and copies ended.
func (f *stdioFlags) serve(stdin io.Reader, stdout io.Writer, opts sftp.Options) error {
	start, err := f.startDirectory()
	if err != nil {
		return err
	}
	access := vfs.ReadWrite
	if f.readOnly {
		access = vfs.ReadOnly
	}
	tree, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: f.root, Access: access}},
		vfs.WithResolver(vfs.Resolver(f.resolver)), vfs.WithStart(start))
	if err != nil {
		return err
	}
	defer tree.Close()
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	return sftp.Serve(context.Background(), struct {
		io.Reader
		io.Writer
	}{stdin, stdout}, tree, opts)
}

func (f *stdioFlags) startDirectory() (string, error) {
	if f.start == "" {
		if f.root != "/" {
			return "/", nil
		}
		return os.Getwd()
	}
	if !strings.Contains(f.start, "%") {
		return vfs.Clean(f.start), nil
	}
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("look up the user for %%u: %w", err)
	}
	return vfs.Clean(strings.NewReplacer("%%", "%", "%d", u.HomeDir, "%u", u.Username).Replace(f.start)), nil
}
