package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/sftp-operator/sftp-operator/hack/bench/cgroup"
)

// process is a server that runs as a child of ours, in its own control group.
type process struct {
	group *cgroup.Group
	log   string
	cmd   *exec.Cmd
}

// start starts a program. Its output goes to the log. It does not outlive this process.
func (p *process) start(cmd *exec.Cmd) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // Ctrl-C must reach only this process: servers are needed until the client ends
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	// It has no children yet: connections start them.
	return p.group.Add(cmd.Process.Pid)
}

func (p *process) stop() error {
	if p.cmd == nil {
		return nil
	}
	err := p.group.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
	return err
}

// explain adds the process's output to an error.
func (p *process) explain(err error) error {
	const tail = 2000
	said, readErr := os.ReadFile(p.log)
	if readErr != nil || len(said) == 0 {
		return err
	}
	return fmt.Errorf("%w\n%s", err, said[max(0, len(said)-tail):])
}

// run starts what build returns, newly built each time.
func (p *process) run(build func(context.Context) *exec.Cmd) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := p.start(build(ctx)); err != nil {
			return p.explain(err)
		}
		return nil
	}
}
