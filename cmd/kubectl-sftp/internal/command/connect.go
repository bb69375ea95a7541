package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
)

func (p *plugin) connect() *cobra.Command {
	var key string
	var w where
	c := &cobra.Command{
		Use:   "connect USER [-i KEY] [-- SFTP-ARGUMENTS]",
		Short: "Start OpenSSH's sftp as a user, through a forwarded port",
		Long: `Forwards a port to a ready pod of the user's listener and starts OpenSSH's sftp through it, with the right login name and
trusting only the host keys in the status of the listener. Arguments after -- go to sftp. The exit code is that of sftp.`,
		Example: `  kubectl sftp connect acme -i acme_ed25519

  # A batch of commands
  echo 'put report.csv' | kubectl sftp connect acme -i acme_ed25519 -- -b -`,
		Args: exactly(func(c *cobra.Command, args []string) error {
			if n := c.ArgsLenAtDash(); len(args) == 0 || n == 0 || n < 0 && len(args) > 1 || n > 1 {
				return errors.New("one USER must be given; arguments of sftp come after --")
			}
			return nil
		}),
		ValidArgsFunction: p.names(kindUser),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := p.flags.Connect()
			if err != nil {
				return err
			}
			return p.openSSH(c.Context(), k, args[0], key, w, args[1:])
		},
	}
	c.Flags().StringVarP(&key, "key", "i", "", "`file` with the private key")
	w.addTo(c)
	return c
}

func (p *plugin) openSSH(ctx context.Context, k *cluster.Cluster, name, key string, w where, more []string) error {
	program, err := exec.LookPath("sftp")
	if err != nil {
		return fmt.Errorf("OpenSSH's sftp is required: %w", err)
	}
	dir, err := os.MkdirTemp("", "kubectl-sftp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// sftp handles an interrupt, by ending a transfer; the forwarded port lasts as long as sftp does.
	signal.Ignore(os.Interrupt)
	defer signal.Reset(os.Interrupt)
	e, err := p.endpointOf(ctx, k, name, w, dir)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(e.address)
	if err != nil {
		return err
	}
	args := []string{
		"-P", port,
		"-o", "User=" + e.login,
		"-o", `UserKnownHostsFile="` + e.knownHosts + `"`,
		"-o", "GlobalKnownHostsFile=/dev/null",
		"-o", "StrictHostKeyChecking=yes",
		"-o", "UpdateHostKeys=no", // the file does not outlive the session
	}
	if key != "" {
		args = append(args, "-i", key, "-o", "IdentitiesOnly=yes")
	}
	args = append(append(args, more...), "--", host)
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the caller's own program and arguments
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.In, p.Out, p.Err
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return &exitError{code: max(exit.ExitCode(), exitFailed)} // it has printed why
	}
	return err
}
