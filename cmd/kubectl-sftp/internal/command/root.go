// Package command has the subcommands of `kubectl sftp`. Each reads what it needs with the caller's own
// permissions, decides with packages that do not access a cluster, and prints.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
)

// Exit codes. Those of `check` and `why` are in their help.
const (
	exitFailed = 1
	exitUsage  = 2
)

// Terminal is the plug-in's input and output.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// exitError ends the plug-in with a specific exit code. Without a cause, everything has already been printed.
type exitError struct {
	code  int
	cause error
}

func (e *exitError) Error() string {
	if e.cause == nil {
		return ""
	}
	return e.cause.Error()
}

func (e *exitError) Unwrap() error { return e.cause }

// Run runs one command line and returns the exit code.
func Run(ctx context.Context, t Terminal, version string, args []string) int {
	if t.Now == nil {
		t.Now = time.Now
	}
	root := newRoot(t, version)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	code := exitFailed
	if exit, ok := errors.AsType[*exitError](err); ok {
		code = exit.code
	} else if strings.HasPrefix(err.Error(), "unknown command") { // cobra has no type for it
		code = exitUsage
	}
	if message := err.Error(); message != "" {
		fmt.Fprintln(t.Err, "error:", message)
	}
	return code
}

// plugin is what the subcommands share.
type plugin struct {
	Terminal
	flags  cluster.Flags
	output string // of the flag -o
}

func newRoot(t Terminal, version string) *cobra.Command {
	p := &plugin{Terminal: t}
	root := &cobra.Command{
		Use:   "kubectl-sftp",
		Short: "SFTP endpoints and logins: show and check them, hand out keys and passwords",
		Long: `Shows, checks and explains SFTPListeners and SFTPUsers, and hands out their keys and passwords.

Everything is done with your own permissions in the cluster. Anything that you may not read is left out, with a note.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl sftp"},
	}
	root.SetIn(t.In)
	root.SetOut(t.Out)
	root.SetErr(t.Err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &exitError{exitUsage, fmt.Errorf("%w\nSee '%s --help'", err, c.CommandPath())}
	})
	p.flags.AddTo(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("namespace", cobra.NoFileCompletions) // the flag exists
	for _, c := range []*cobra.Command{
		p.knownHosts(), p.status(), p.keys(), p.keygen(), p.passwd(), p.totp(), p.connect(), p.check(), p.why(), p.importCommand(), p.purge(),
		p.events(), p.retention(), p.receipts(),
	} {
		c.DisableFlagsInUseLine = true
		root.AddCommand(c)
	}
	return root
}

// exactly returns cobra's argument check, with the exit code of a wrong command line.
func exactly(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return &exitError{exitUsage, fmt.Errorf("%w\nSee '%s --help'", err, c.CommandPath())}
		}
		return nil
	}
}

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}
