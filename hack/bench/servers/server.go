// Package servers starts the servers to be measured, each in its own control group, with its files on tmpfs.
package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/hack/bench/cgroup"
	"github.com/sftp-operator/sftp-operator/hack/bench/client"
)

// Server is a server that can be measured.
type Server struct {
	// Label is its name in the tables.
	Label string
	Addr  string
	User  string
	// Key logs in; KeyFile contains it too.
	Key     ssh.Signer
	KeyFile string
	// Password logs in unless empty; PasswordHash is its hash as stored by the server.
	Password, PasswordHash string
	// Root is the directory of this machine that the user sees as Remote.
	Root, Remote string
	Group        *cgroup.Group
	// MaxIdle limits how many sessions are opened at once. 0 sets no limit.
	MaxIdle int

	hostKey    client.HostKey
	knownHosts string
	start      func(context.Context) error
	stop       func() error
}

// Path returns the name that the user has for a file or directory below Root.
func (s *Server) Path(name string) string { return path.Join(s.Remote, name) }

// File returns the name of the same file or directory on this machine.
func (s *Server) File(name string) string { return filepath.Join(s.Root, name) }

// Options returns the options to log in with the key.
func (s *Server) Options() client.Options {
	return client.Options{Addr: s.Addr, User: s.User, Auth: ssh.PublicKeys(s.Key), HostKey: &s.hostKey}
}

// Restart restarts the server, or starts it for the first time, and waits until it accepts connections. A heap that has
// served thousands of sessions is slower than a fresh one.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	if s.start != nil {
		if err := s.start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", s.Label, err)
		}
	}
	if err := s.wait(ctx); err != nil {
		return err
	}
	_, err := s.Group.Settled(5 * time.Second)
	return err
}

// Stop ends the server and all of its sessions.
func (s *Server) Stop() error {
	if s.stop == nil {
		return nil
	}
	return s.stop()
}

func (s *Server) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		c, err := client.Dial(ctx, s.Options())
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s at %s: log in as %s: %w", s.Label, s.Addr, s.User, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Version returns the server's own name.
func (s *Server) Version(ctx context.Context) (string, error) {
	c, err := client.Dial(ctx, s.Options())
	if err != nil {
		return "", err
	}
	defer c.Close()
	return string(c.ServerVersion()), nil
}

// MakeDir creates a directory below Root that belongs to the owner of Root.
func (s *Server) MakeDir(name string) error {
	if err := os.MkdirAll(s.File(name), 0o755); err != nil {
		return err
	}
	return s.own(s.File(name))
}

// MakeFile creates a file below Root that belongs to the owner of Root.
func (s *Server) MakeFile(name string, content []byte) error {
	if err := os.WriteFile(s.File(name), content, 0o644); err != nil {
		return err
	}
	return s.own(s.File(name))
}

// FreePort finds a loopback port that nothing else in this run uses, below the ports that the system assigns to clients, so
// that it is free each time a server starts.
func (p *Place) FreePort() (string, error) {
	const first, last = 22022, 22322
	for p.port = max(p.port+1, first); p.port < last; p.port++ {
		addr := fmt.Sprintf("127.0.0.1:%d", p.port)
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("no free port between %d and %d", first, last)
}
