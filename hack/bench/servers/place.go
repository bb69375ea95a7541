package servers

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/hack/bench/cgroup"
)

// The servers' user is not root, for whom sshd starts one process fewer, and not a user of the machine.
const (
	userName = "sftp-bench"
	userID   = 61999
	password = "correct horse battery staple"
)

const prefix = "sftp-bench-"

// Place holds what a run uses on this machine: a directory, a tmpfs in it, and control groups. Remove removes all of it.
type Place struct {
	Dir    string
	Key    ssh.Signer
	groups []*cgroup.Group
	port   int
}

// NewPlace creates a place, after removing those of interrupted runs.
func NewPlace() (*Place, error) {
	if err := removeStale(); err != nil {
		return nil, err
	}
	p := &Place{Dir: filepath.Join(os.TempDir(), prefix+strconv.Itoa(os.Getpid()))}
	if err := os.Mkdir(p.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := p.setUp(); err != nil {
		return nil, errors.Join(err, p.Remove())
	}
	return p, nil
}

func (p *Place) setUp() (err error) {
	for _, dir := range []string{p.files(), p.path("home")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	// A separate mount, because /dev/shm has 64 MiB in many containers.
	if err := syscall.Mount("tmpfs", p.files(), "tmpfs", 0, "mode=755,size=75%"); err != nil {
		return fmt.Errorf("mount a tmpfs (must be root): %w", err)
	}
	p.Key, err = makeKey(p.KeyFile())
	return err
}

// KeyFile returns the path of the file with Key.
func (p *Place) KeyFile() string { return p.path("id") }

// Scratch returns a directory on the tmpfs, for clients that write files.
func (p *Place) Scratch() string { return p.files() }

func (p *Place) files() string { return p.path("files") }

func (p *Place) path(name string) string { return filepath.Join(p.Dir, name) }

// group makes a control group.
func (p *Place) group(name string) (*cgroup.Group, error) {
	g, err := cgroup.Make(filepath.Base(p.Dir) + "-" + name)
	if err == nil {
		p.groups = append(p.groups, g)
	}
	return g, err
}

// root makes the directory with a server's files.
func (p *Place) root(name string) (string, error) {
	dir := filepath.Join(p.files(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.Chown(dir, userID, userID)
}

// Remove ends processes that are still running and removes everything.
func (p *Place) Remove() error {
	var errs []error
	for _, g := range p.groups {
		errs = append(errs, g.Kill(), g.Remove())
	}
	return errors.Join(append(errs, removeDir(p.Dir))...)
}

func removeDir(dir string) error {
	err := syscall.Unmount(filepath.Join(dir, "files"), syscall.MNT_DETACH)
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("unmount %s/files: %w", dir, err)
	}
	return os.RemoveAll(dir)
}

// removeStale removes leftovers of runs whose process is gone.
func removeStale() error {
	parent, err := cgroup.Parent()
	if err != nil {
		return err
	}
	groups, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return err
	}
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range groups {
		if g := (&cgroup.Group{Dir: dir}); stale(dir) {
			if err := errors.Join(g.Kill(), g.Remove()); err != nil {
				return err
			}
		}
	}
	for _, dir := range dirs {
		if stale(dir) {
			if err := removeDir(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// stale reports whether the process whose number is in a name is gone.
func stale(name string) bool {
	number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(name), prefix), "-")
	pid, err := strconv.Atoi(number)
	return err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// own changes the owner of a file or directory to the owner of Root.
func (s *Server) own(path string) error {
	info, err := os.Stat(s.Root)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s has no owner", s.Root)
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}

// makeKey makes an Ed25519 key and writes it to a file.
func makeKey(file string) (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(private)
}

// Install copies a program to where the servers' user can run it, and returns its path.
func (p *Place) Install(program string) (string, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	file := p.path(filepath.Base(program))
	return file, os.WriteFile(file, content, 0o755)
}
