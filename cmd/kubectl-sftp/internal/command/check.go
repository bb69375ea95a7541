package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/probe"
)

// Exit codes of `check`, one for each kind of problem.
const (
	exitConnect  = 3
	exitHostKey  = 4
	exitLogIn    = 5
	exitTransfer = 6
)

type checkOptions struct {
	where
	keys                          []string
	code, directory               string
	passwordFromSecret, fromStdin bool
	codeFromSecret                bool
	timeout                       time.Duration
}

// checkResult is what `check -o json` prints.
type checkResult struct {
	Namespace string      `json:"namespace"`
	User      string      `json:"user"`
	Username  string      `json:"username"`
	Address   string      `json:"address"`
	OK        bool        `json:"ok"`
	Steps     []checkStep `json:"steps"`
	Error     string      `json:"error,omitempty"`
}

type checkStep struct {
	Name         string  `json:"name"`
	Milliseconds float64 `json:"milliseconds"`
}

func (p *plugin) check() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check USER [-i KEY]... [--password-from-secret | --password-stdin] [--code CODE | --code-from-secret]",
		Short: "Log in as a user, write a file, read it back and remove it",
		Long: `Logs in as a user, through a port that is forwarded to a ready pod of the listener or at --address; writes a file of
300 KiB, reads it back, compares and removes it. If the user's access does not allow all of that, it lists the directory or
only logs in: it writes nothing that it cannot remove. The server must have one of the host keys in the listener's status, or
in --known-hosts.

For a user that needs several factors, give all of them; -i can be repeated. The check uses up the code from an
authenticator app.

A forwarded connection comes from inside the pod: allowedCIDRs and from= see its loopback address, and there is no PROXY
header. A listener or user that does not allow that needs --address.

Exit codes:
  0  it works
  1  the user, the listener or the credential cannot be read
  2  wrong command line
  3  no connection
  4  the host key is not the listener's
  5  the login is refused (kubectl sftp why explains it)
  6  the login works, but the file transfer does not`,
		Example: `  kubectl sftp check acme -i acme_ed25519
  kubectl sftp check acme --password-from-secret --address sftp.example.com:22
  kubectl sftp check acme -i acme_ed25519 --directory /inbox
  kubectl sftp check acme -i acme_ed25519 --code 123456`,
		Args:              exactly(cobra.ExactArgs(1)),
		ValidArgsFunction: p.names(kindUser),
		RunE: func(c *cobra.Command, args []string) error {
			if o.passwordFromSecret && o.fromStdin {
				return usageError("--password-from-secret and --password-stdin are mutually exclusive")
			}
			if o.code != "" && o.codeFromSecret {
				return usageError("--code and --code-from-secret are mutually exclusive")
			}
			if len(o.keys) == 0 && !o.passwordFromSecret && !o.fromStdin {
				return usageError("a credential must be given: -i, --password-from-secret or --password-stdin")
			}
			k, err := p.flags.Connect()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
			defer cancel()
			return p.checkUser(ctx, k, args[0], o)
		},
	}
	flags := c.Flags()
	flags.StringArrayVarP(&o.keys, "key", "i", nil, "`file` with a private key")
	flags.BoolVar(&o.passwordFromSecret, "password-from-secret", false, "read the password from the Secret that the user refers to")
	flags.BoolVar(&o.fromStdin, "password-stdin", false, "read the password from standard input; a trailing newline is ignored")
	flags.StringVar(&o.code, "code", "", "`code` that the user's authenticator app shows")
	flags.BoolVar(&o.codeFromSecret, "code-from-secret", false, "compute the code from the Secret that the user refers to")
	_ = c.RegisterFlagCompletionFunc("code", cobra.NoFileCompletions) // the flag exists
	flags.StringVar(&o.directory, "directory", "", "directory to write the file into (default where the login starts)")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "time limit for the whole check")
	o.where.addTo(c)
	p.outputFlag(c, "json", "yaml")
	return c
}

func (p *plugin) checkUser(ctx context.Context, k *cluster.Cluster, name string, o checkOptions) error {
	dir, err := os.MkdirTemp("", "kubectl-sftp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e, err := p.endpointOf(ctx, k, name, o.where, dir)
	if err != nil {
		return err
	}
	probing := probe.Options{Addr: e.address, User: e.login, Dir: o.directory}
	var limited string
	probing.Files, limited = filesFor(e.user, o.directory)
	if probing.HostKeys, err = probe.KnownHosts(e.knownHosts); err != nil {
		return err
	}
	for _, file := range o.keys {
		key, err := p.privateKey(file)
		if err != nil {
			return err
		}
		probing.Keys = append(probing.Keys, key)
	}
	switch {
	case o.fromStdin:
		probing.Password, err = readPassword(p.In)
	case o.passwordFromSecret:
		probing.Password, err = passwordOf(ctx, k, e.user)
	}
	if err != nil {
		return err
	}
	if probing.Code = o.code; o.codeFromSecret {
		if probing.Code, err = p.codeOf(ctx, k, e.user); err != nil {
			return err
		}
	}
	steps, failure := probe.Run(ctx, probing)
	r := checkResult{Namespace: k.Namespace, User: name, Username: e.login, Address: e.address, OK: failure == nil, Steps: []checkStep{}}
	for _, s := range steps {
		r.Steps = append(r.Steps, checkStep{s.Name, float64(s.Duration.Microseconds()) / 1000}) //nolint:mnd // to ms
	}
	if failure != nil {
		r.Error = failure.Error()
		failure = &exitError{checkCode(len(steps), failure), failure}
	}
	if done, err := p.data(r); done {
		if exit, ok := errors.AsType[*exitError](failure); ok {
			return errors.Join(err, &exitError{code: exit.code}) // the error is in the data
		}
		return err
	}
	for _, s := range r.Steps {
		fmt.Fprintf(p.Out, "%-12s %8.1f ms\n", s.Name, s.Milliseconds)
	}
	if failure == nil {
		fmt.Fprintf(p.Out, "SFTPUser %s/%s works, as %s.\n", r.Namespace, r.User, r.Username)
		if limited != "" {
			fmt.Fprintln(p.Out, limited)
		}
	}
	return failure
}

// filesFor returns what a check can do in a directory with the user's access there, and what it leaves out.
func filesFor(u *v1alpha1.SFTPUser, dir string) (probe.Files, string) {
	d, at := u.Spec.HomeDirectory, "/"
	dir = path.Join("/", dir)
	for _, m := range u.Spec.Mounts {
		if len(m.Path) > len(at) && (dir == m.Path || strings.HasPrefix(dir, m.Path+"/")) {
			d, at = m.Directory, m.Path
		}
	}
	access := attach.AccessOf(d)
	switch {
	case access == v1alpha1.AccessReadWrite:
		return probe.Transfer, ""
	case access == v1alpha1.AccessReadOnly || attach.ListsNames(d):
		return probe.List, fmt.Sprintf("Only listed: the access to %s is %s.", at, access)
	}
	return probe.LogIn, fmt.Sprintf("Only logged in: the access to %s is %s, which allows neither listing it nor removing a written file.", at, access)
}

// checkCode determines the exit code from how far the check got.
func checkCode(steps int, err error) int {
	switch {
	case errors.Is(err, probe.ErrHostKey):
		return exitHostKey
	case steps == 0:
		return exitConnect
	case steps == 1:
		return exitLogIn
	}
	return exitTransfer
}

// codeOf computes the current code.
func (p *plugin) codeOf(ctx context.Context, k *cluster.Cluster, u *v1alpha1.SFTPUser) (string, error) {
	ref := u.Spec.Authentication.TOTPSecretRef
	if ref == nil {
		return "", fmt.Errorf("SFTPUser %s/%s has no totpSecretRef", u.Namespace, u.Name)
	}
	s := &corev1.Secret{}
	if err := k.Get(ctx, types.NamespacedName{Namespace: u.Namespace, Name: ref.Name}, s); err != nil {
		return "", err
	}
	secret, err := totp.Parse(string(s.Data[cmp.Or(ref.Key, totpKey)]))
	if err != nil {
		return "", fmt.Errorf("Secret %s/%s: %w", s.Namespace, s.Name, err) //nolint:staticcheck // the name of a kind
	}
	return secret.Code(totp.Step(p.Now())), nil
}

func passwordOf(ctx context.Context, k *cluster.Cluster, u *v1alpha1.SFTPUser) (string, error) {
	ref := u.Spec.Authentication.PasswordSecretRef
	if ref == nil {
		return "", fmt.Errorf("SFTPUser %s/%s has no passwordSecretRef", u.Namespace, u.Name)
	}
	if ref.Format == v1alpha1.PasswordHash {
		return "", fmt.Errorf("Secret %s/%s has only the hash of the password; log in with a key, or set a password with kubectl sftp passwd", u.Namespace, ref.Name) //nolint:staticcheck // the name of a kind
	}
	s := &corev1.Secret{}
	if err := k.Get(ctx, types.NamespacedName{Namespace: u.Namespace, Name: ref.Name}, s); err != nil {
		return "", err
	}
	key := cmp.Or(ref.Key, corev1.BasicAuthPasswordKey)
	data, ok := s.Data[key]
	if !ok || len(data) == 0 {
		return "", fmt.Errorf("Secret %s/%s has no password in entry %s", s.Namespace, s.Name, key) //nolint:staticcheck // the name of a kind
	}
	return string(data), nil
}
