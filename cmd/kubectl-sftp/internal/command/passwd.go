package command

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// minPasswordLength is the minimum for a user-chosen password, in bytes: NIST SP 800-63B-4 asks for 15 where it is
// the only factor.
const minPasswordLength = 15

type passwdOptions struct{ prompt, stdin, show bool }

func (p *plugin) passwd() *cobra.Command {
	var o passwdOptions
	c := &cobra.Command{
		Use:   "passwd USER",
		Short: "Set a user's password, generated or typed",
		Long: fmt.Sprintf(`Writes a new password to the Secret that spec.authentication.passwordSecretRef of a user names. A missing Secret is
created; a user without a reference gets one to a new Secret USER-password. If the Secret had a hash of the password, the
password replaces it, and the reference loses its format Hash. Sessions that were opened with the old password end.

The password is generated, with 130 bits of randomness, unless --prompt or --stdin supplies one of at least %d bytes. It is
printed only with --show.`, minPasswordLength),
		Example: `  # Generate one and print it, for the partner
  kubectl sftp passwd acme --show

  # Type one
  kubectl sftp passwd acme --prompt`,
		Args:              exactly(cobra.ExactArgs(1)),
		ValidArgsFunction: p.names(kindUser),
		RunE: func(c *cobra.Command, args []string) error {
			if o.prompt && o.stdin || o.show && (o.prompt || o.stdin) {
				return usageError("--prompt, --stdin and --show are mutually exclusive: a password that you chose is not printed")
			}
			secret, err := p.choose(o)
			if err != nil {
				return err
			}
			k, err := p.flags.Connect()
			if err != nil {
				return err
			}
			return p.setPassword(c.Context(), k, args[0], secret, o)
		},
	}
	c.Flags().BoolVar(&o.prompt, "prompt", false, "ask for the password, twice")
	c.Flags().BoolVar(&o.stdin, "stdin", false, "read the password from standard input; a trailing newline is ignored")
	c.Flags().BoolVar(&o.show, "show", false, "print the generated password")
	p.outputFlag(c, "json", "yaml")
	return c
}

func (p *plugin) choose(o passwdOptions) (string, error) {
	var chosen string
	var err error
	switch {
	case o.stdin:
		chosen, err = readPassword(p.In)
	case o.prompt:
		chosen, err = p.promptTwice()
	default:
		return rand.Text(), nil
	}
	switch {
	case err != nil:
		return "", err
	case len(chosen) < minPasswordLength:
		return "", fmt.Errorf("the password has %d bytes, but at least %d are required", len(chosen), minPasswordLength)
	case len(chosen) > password.MaxLength:
		return "", fmt.Errorf("the password has %d bytes, but at most %d are allowed", len(chosen), password.MaxLength)
	case strings.ContainsAny(chosen, "\r\n"):
		return "", errors.New("the password contains a line end, which cannot be typed")
	}
	return chosen, nil
}

// readPassword reads all of a stream; the caller refuses passwords that are too long.
func readPassword(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(bufio.NewReader(r), password.MaxLength+2))
	return string(bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))), err
}

func (p *plugin) promptTwice() (string, error) {
	once, err := p.prompt("New password: ")
	if err != nil {
		return "", err
	}
	again, err := p.prompt("Again: ")
	if err == nil && again != once {
		err = errors.New("the passwords do not match")
	}
	return once, err
}

// prompt asks on the terminal, without echo.
func (p *plugin) prompt(question string) (string, error) {
	in, ok := p.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", errors.New("standard input is not a terminal, so there is no way to ask for a password")
	}
	fmt.Fprint(p.Err, question)
	data, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(p.Err)
	return string(data), err
}

// setPasswordResult is what `passwd -o json` prints.
type setPasswordResult struct {
	Namespace string `json:"namespace"`
	User      string `json:"user"`
	Secret    string `json:"secret"`
	Key       string `json:"key"`
	Created   bool   `json:"created"`
	// Password is set only with --show.
	Password string `json:"password,omitempty"`
}

func (p *plugin) setPassword(ctx context.Context, k *cluster.Cluster, name, secret string, o passwdOptions) error {
	u, err := k.User(ctx, name)
	if err != nil {
		return err
	}
	r := setPasswordResult{Namespace: k.Namespace, User: name, Secret: name + "-password", Key: corev1.BasicAuthPasswordKey}
	ref := u.Spec.Authentication.PasswordSecretRef
	if ref != nil {
		r.Secret, r.Key = ref.Name, cmp.Or(ref.Key, corev1.BasicAuthPasswordKey)
	}
	if r.Created, err = writeEntry(ctx, k, entryOf(r), secret, ref != nil); err != nil {
		return err
	}
	if ref == nil || ref.Format == v1alpha1.PasswordHash {
		before := u.DeepCopy()
		u.Spec.Authentication.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: r.Secret, Key: r.Key}
		if err := k.Patch(ctx, u, lockedPatch(before), client.FieldOwner(fieldManager)); err != nil {
			return fmt.Errorf("Secret %s has the password, but the user does not refer to it, or refers to it as a hash: %w", r.Secret, err) //nolint:staticcheck // the name of a kind
		}
	}
	if o.show {
		r.Password = secret
	}
	if done, err := p.data(r); done {
		return err
	}
	fmt.Fprintf(p.Out, "SFTPUser %s/%s has a new password, in Secret %s, entry %s.\n", r.Namespace, r.User, r.Secret, r.Key)
	if o.show {
		fmt.Fprintln(p.Out, r.Password)
	}
	return nil
}

func entryOf(r setPasswordResult) secretEntry {
	e := secretEntry{Namespace: r.Namespace, Secret: r.Secret, Key: r.Key, field: "passwordSecretRef", secretType: corev1.SecretTypeBasicAuth}
	if r.Key != corev1.BasicAuthPasswordKey {
		e.secretType = corev1.SecretTypeOpaque // the other type requires an entry of that name
	}
	return e
}

// secretEntry is where a credential of a user is kept.
type secretEntry struct {
	Namespace, Secret, Key string
	field                  string // of spec.authentication that refers to it
	secretType             corev1.SecretType
}

// writeEntry creates the Secret or, if the user already referred to it, changes only that entry. It reads nothing, so
// permission to patch is enough.
func writeEntry(ctx context.Context, k *cluster.Cluster, e secretEntry, value string, mayChange bool) (created bool, err error) {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Secret}}
	data := map[string][]byte{e.Key: []byte(value)}
	if mayChange {
		patch := &corev1.Secret{Data: data}
		body, err := client.MergeFrom(&corev1.Secret{}).Data(patch)
		if err != nil {
			return false, err
		}
		err = k.Patch(ctx, s, client.RawPatch(types.MergePatchType, body), client.FieldOwner(fieldManager))
		if !apierrors.IsNotFound(err) {
			return false, err
		}
	}
	s.Data = data
	s.Type = e.secretType
	err = k.Create(ctx, s, client.FieldOwner(fieldManager))
	if apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("the user refers to no Secret yet, and a Secret %s exists, which may be for something else; set spec.authentication.%s", e.Secret, e.field)
	}
	return err == nil, err
}
