// Package probe tests an SFTP endpoint from outside, as a user: it logs in, writes a file, reads it back, compares and removes
// it, or as much of that as the user is allowed to do.
package probe

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// size of the probe file: more than one packet of any client.
const size = 300 << 10

// Options of a probe.
type Options struct {
	// Addr is host:port.
	Addr string
	// User is the login name.
	User string
	// Keys are private keys, in the order in which they are offered. Password, and Code of
	// an authenticator app, are "" for none. The server may ask for any or all of them.
	Keys           []ssh.Signer
	Password, Code string
	// HostKeys decides whether to trust the server.
	HostKeys HostKeys
	// Dir is where the file is written, "" for the directory that the login starts in.
	Dir string
	// Files is what to do in it.
	Files Files
}

// Files is what a probe does after the login.
type Files int

const (
	// Transfer writes a file, reads it back, compares and removes it.
	Transfer Files = iota
	// List reads the names in the directory, for users who may not write there, or not remove what they wrote.
	List
	// LogIn does nothing with files.
	LogIn
)

// Step is one part of a probe and how long it took.
type Step struct {
	Name     string
	Duration time.Duration
}

// Run probes until ctx ends. It returns the steps that were done; the error says which
// one failed, and why. The file is removed when a later step fails, if that is possible.
func Run(ctx context.Context, o Options) ([]Step, error) {
	r := &run{Options: o, ctx: ctx, close: func() {}}
	err := r.all()
	return r.steps, err
}

type run struct {
	Options
	ctx   context.Context
	steps []Step
	conn  net.Conn
	ssh   *ssh.Client
	sftp  *sftp.Client
	name  string
	data  []byte
	close func()
	// codeAsked records whether the server asked for a code, which it does only after another credential was right.
	codeAsked bool
}

func (r *run) all() error {
	defer func() { r.close() }()
	r.data = make([]byte, size)
	_, _ = rand.Read(r.data) // never fails since Go 1.24
	r.name = path.Join(r.Dir, ".sftpd-probe-"+hex.EncodeToString(r.data[:8]))
	for _, s := range r.plan() {
		begin := time.Now()
		err := s.do()
		if err == nil {
			r.steps = append(r.steps, Step{s.name, time.Since(begin)})
			continue
		}
		if s.name == "read" {
			err = errors.Join(err, r.remove())
		}
		if r.ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", r.ctx.Err(), err)
		}
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// step is one part of a probe.
type step struct {
	name string
	do   func() error
}

func (r *run) plan() []step {
	steps := []step{{"connect", r.connect}, {"log in", r.logIn}, {"start sftp", r.start}}
	switch r.Files {
	case Transfer:
		steps = append(steps, step{"write", r.write}, step{"read", r.read}, step{"remove", r.remove})
	case List:
		steps = append(steps, step{"list", r.list})
	case LogIn:
	}
	return steps
}

func (r *run) connect() error {
	var d net.Dialer
	conn, err := d.DialContext(r.ctx, "tcp", r.Addr)
	if err != nil {
		return err
	}
	// When ctx ends, any step that waits for the connection ends.
	stop := context.AfterFunc(r.ctx, func() { conn.Close() })
	r.conn = conn
	r.close = func() {
		stop()
		conn.Close()
	}
	return nil
}

func (r *run) logIn() error {
	var tried []string
	config := &ssh.ClientConfig{
		User:              r.User,
		Auth:              r.methods(&tried),
		HostKeyCallback:   r.HostKeys.Callback,
		HostKeyAlgorithms: r.HostKeys.Algorithms(r.Addr),
	}
	if len(config.Auth) == 0 {
		return errors.New("no key or password was given")
	}
	c, channels, requests, err := ssh.NewClientConn(r.conn, r.Addr, config)
	if err != nil {
		return explain(err, r.User, tried, r.codeAsked)
	}
	r.ssh = ssh.NewClient(c, channels, requests)
	return nil
}

func (r *run) methods(tried *[]string) []ssh.AuthMethod {
	var methods []ssh.AuthMethod
	if len(r.Keys) > 0 {
		methods = append(methods, ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
			for _, k := range r.Keys {
				*tried = append(*tried, "publickey "+ssh.FingerprintSHA256(k.PublicKey()))
			}
			return r.Keys, nil
		}))
	}
	if r.Password != "" {
		methods = append(methods, ssh.PasswordCallback(func() (string, error) {
			*tried = append(*tried, "password")
			return r.Password, nil
		}))
	}
	if r.Password == "" && r.Code == "" {
		return methods
	}
	return append(methods, ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		*tried = append(*tried, "keyboard-interactive")
		answers := make([]string, len(questions))
		for i, q := range questions {
			// Sending a code as the password would waste it.
			answers[i] = r.Password
			if strings.Contains(strings.ToLower(q), "code") {
				answers[i], r.codeAsked = r.Code, true
			}
			if answers[i] == "" {
				return nil, fmt.Errorf("the server asks for %q, which was not given", q)
			}
		}
		return answers, nil
	}))
}

func (r *run) start() (err error) {
	r.sftp, err = sftp.NewClient(r.ssh)
	if err != nil {
		return fmt.Errorf("the login works, but the server does not start SFTP: %w", err)
	}
	return nil
}

func (r *run) write() error {
	// Not Create, which also requests read access: a drop box does not allow that.
	f, err := r.sftp.OpenFile(r.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	_, err = f.ReadFrom(bytes.NewReader(r.data))
	return errors.Join(err, f.Close())
}

func (r *run) read() error {
	f, err := r.sftp.Open(r.name)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	defer f.Close()
	got, err := io.ReadAll(io.LimitReader(f, size+1))
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	if !bytes.Equal(got, r.data) {
		return fmt.Errorf("%s: the %d bytes that were read differ from the %d that were written", r.name, len(got), size)
	}
	return nil
}

func (r *run) list() error {
	dir := cmp.Or(r.Dir, ".")
	if _, err := r.sftp.ReadDirContext(r.ctx, dir); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

func (r *run) remove() error {
	if err := r.sftp.Remove(r.name); err != nil {
		return fmt.Errorf("%s could not be removed: %w", r.name, err)
	}
	return nil
}
