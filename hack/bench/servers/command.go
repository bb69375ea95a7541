package servers

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// SFTP runs commands with the installed OpenSSH sftp, with only one cipher unless that is empty. None of the caller's
// own configuration is used.
func (s *Server) SFTP(ctx context.Context, cipher string, commands ...string) error {
	host, port, _ := strings.Cut(s.Addr, ":")
	args := []string{
		"-F", "/dev/null", "-b", "-", "-q", "-P", port, "-i", s.KeyFile,
		"-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "PreferredAuthentications=publickey",
		"-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=" + s.knownHosts, "-o", "GlobalKnownHostsFile=/dev/null",
	}
	if cipher != "" {
		args = append(args, "-c", cipher)
	}
	cmd := exec.CommandContext(ctx, "sftp", append(args, s.User+"@"+host)...)
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sftp: %w\n%s", err, out)
	}
	return nil
}
