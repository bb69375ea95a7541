package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/probe"
)

type probeFlags struct {
	addr, user, key, passwordFile, knownHosts, fingerprint, hostKeyFile, dir string
	timeout                                                                  time.Duration
}

func runProbe(args []string, stdout, stderr io.Writer) int {
	var f probeFlags
	flags := flag.NewFlagSet("sftpd probe", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&f.addr, "addr", "", "`host:port` of the endpoint")
	flags.StringVar(&f.user, "user", "", "login `name`")
	flags.StringVar(&f.key, "key", "", "`file` with a private key, without a passphrase")
	flags.StringVar(&f.passwordFile, "password-file", "", "`file` with the password; a trailing newline is ignored")
	flags.StringVar(&f.knownHosts, "known-hosts", "", "`file` with trusted host keys (default ~/.ssh/known_hosts)")
	flags.StringVar(&f.fingerprint, "host-key-fingerprint", "", "trust this host key instead, `SHA256:...`")
	flags.StringVar(&f.hostKeyFile, "host-key-file", "", "trust the public key in this `file` instead, such as id_ed25519.pub")
	flags.StringVar(&f.dir, "dir", "", "`directory` to write the file into (default where the login starts)")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "time limit of the whole probe, a `duration`")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if f.addr == "" || f.user == "" || f.key == "" && f.passwordFile == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "sftpd probe: -addr, -user and at least one of -key and -password-file are needed, and no arguments")
		return 2
	}
	o, err := f.options()
	if err != nil {
		fmt.Fprintln(stderr, "sftpd probe:", err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
	defer cancel()
	steps, err := probe.Run(ctx, o)
	for _, s := range steps {
		fmt.Fprintf(stdout, "%-12s %8.1f ms\n", s.Name, float64(s.Duration.Microseconds())/1000)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sftpd probe:", err)
		return 1
	}
	fmt.Fprintln(stdout, "ok")
	return 0
}

func (f probeFlags) options() (probe.Options, error) {
	o := probe.Options{Addr: f.addr, User: f.user, Dir: f.dir}
	if f.key != "" {
		data, err := os.ReadFile(f.key)
		if err != nil {
			return o, err
		}
		key, err := ssh.ParsePrivateKey(data)
		if err != nil {
			return o, fmt.Errorf("%s: %w", f.key, err)
		}
		o.Keys = []ssh.Signer{key}
	}
	if f.passwordFile != "" {
		data, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return o, err
		}
		o.Password = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	}
	var err error
	o.HostKeys, err = f.hostKeys()
	return o, err
}

func (f probeFlags) hostKeys() (probe.HostKeys, error) {
	switch {
	case f.fingerprint != "":
		return probe.Fingerprint(f.fingerprint)
	case f.hostKeyFile != "":
		return probe.PublicKey(f.hostKeyFile)
	}
	file := f.knownHosts
	if file == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return probe.HostKeys{}, fmt.Errorf("give -known-hosts, -host-key-file or -host-key-fingerprint: %w", err)
		}
		file = filepath.Join(home, ".ssh", "known_hosts")
	}
	return probe.KnownHosts(file)
}
