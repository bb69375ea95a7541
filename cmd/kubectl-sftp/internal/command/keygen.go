package command

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
)

// fieldManager is the author of changes as recorded by the API server.
const fieldManager = "kubectl-sftp"

// Modes of the files of a pair, as ssh-keygen sets them.
const (
	privateMode = 0o600
	publicMode  = 0o644
)

type keygenOptions struct {
	file, secret, comment, sftpKey string
	expires                        days
}

func (p *plugin) keygen() *cobra.Command {
	var o keygenOptions
	c := &cobra.Command{
		Use:   "keygen USER",
		Short: "Create an Ed25519 key pair and register it for a user",
		Long: `Generates an Ed25519 key pair on this machine and adds the public key to spec.authentication.authorizedKeys of a user.
The private key goes to a file that only you can read, without a passphrase (ssh-keygen -p adds one), or with --secret
to a Secret of type kubernetes.io/ssh-auth in the user's namespace, for a program in the cluster. Existing files and
Secrets are not overwritten.

With --expires or --sftpkey the public key goes into a new SFTPKey that is assigned to the user, instead of the
user's spec, so it has its own owner and expiration.

Ideally the partner generates the pair and gives you only the public key, so that no one else ever has the private one.`,
		Example: `  # ./acme_ed25519 and ./acme_ed25519.pub
  kubectl sftp keygen acme

  # For a year
  kubectl sftp keygen acme --expires 365d

  # For a program in the cluster
  kubectl sftp keygen acme --secret acme-upload-key`,
		Args:              exactly(cobra.ExactArgs(1)),
		ValidArgsFunction: p.names(kindUser),
		RunE: func(c *cobra.Command, args []string) error {
			if o.file != "" && o.secret != "" {
				return usageError("--file and --secret are mutually exclusive")
			}
			if o.expires.set && o.expires.Duration == 0 {
				return usageError("--expires must be positive")
			}
			if o.expires.set && o.sftpKey == "" {
				o.sftpKey = args[0] + "-" + p.Now().UTC().Format(v1alpha1.DateFormat)
			}
			k, err := p.flags.Connect()
			if err != nil {
				return err
			}
			return p.makeKey(c.Context(), k, args[0], o)
		},
	}
	c.Flags().StringVarP(&o.file, "file", "f", "", "where to write the private key; the public key is written to the same name plus .pub (default ./USER_ed25519)")
	c.Flags().StringVar(&o.secret, "secret", "", "write the pair to this new Secret instead")
	c.Flags().StringVarP(&o.comment, "comment", "C", "", "comment of the public key (default USER and the date)")
	c.Flags().StringVar(&o.sftpKey, "sftpkey", "", "put the public key into this new SFTPKey (default with --expires: USER-DATE)")
	c.Flags().Var(&o.expires, "expires", "let the key expire after this time: 365d")
	p.outputFlag(c, "json", "yaml")
	return c
}

// madeKey is what `keygen -o json` prints.
type madeKey struct {
	Namespace   string `json:"namespace"`
	User        string `json:"user"`
	Fingerprint string `json:"fingerprint"`
	PublicKey   string `json:"publicKey"`
	File        string `json:"file,omitempty"`
	Secret      string `json:"secret,omitempty"`
	// SFTPKey that has the public key, and its expiration.
	SFTPKey        string       `json:"sftpKey,omitempty"`
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
}

func (p *plugin) makeKey(ctx context.Context, k *cluster.Cluster, name string, o keygenOptions) error {
	if _, err := k.User(ctx, name); err != nil {
		return err
	}
	if o.comment == "" {
		o.comment = name + " " + p.Now().UTC().Format("2006-01-02")
	}
	if strings.ContainsAny(o.comment, "\r\n") {
		return usageError("the comment must be a single line")
	}
	pair, err := newPair(o.comment)
	if err != nil {
		return err
	}
	made := madeKey{Namespace: k.Namespace, User: name, Fingerprint: pair.fingerprint, PublicKey: pair.public}
	var undo func() error
	if o.secret != "" {
		made.Secret = o.secret
		undo, err = pair.toSecret(ctx, k, o.secret)
	} else {
		made.File = o.file
		if made.File == "" {
			made.File = name + "_ed25519"
		}
		undo, err = pair.toFiles(made.File)
	}
	if err != nil {
		return err
	}
	// The private key first: a public key without its private key must not stay behind.
	if o.sftpKey == "" {
		err = addKey(ctx, k, name, pair.public)
	} else {
		made.SFTPKey = o.sftpKey
		if o.expires.set {
			made.ExpirationTime = &metav1.Time{Time: p.Now().UTC().Add(o.expires.Duration).Truncate(time.Second)}
		}
		err = assignKey(ctx, k, made)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the key was not added to the user, and is removed again: %w", err), undo())
	}
	if done, err := p.data(made); done {
		return err
	}
	where := "file " + made.File
	if made.Secret != "" {
		where = "Secret " + made.Secret
	}
	fmt.Fprintf(p.Out, "SFTPUser %s/%s has a new key %s. The private key is in %s.\n", made.Namespace, made.User, made.Fingerprint, where)
	if made.SFTPKey != "" {
		fmt.Fprintf(p.Out, "It is assigned by SFTPKey %s%s.\n", made.SFTPKey, until(made.ExpirationTime))
	}
	return nil
}

type pair struct {
	private             []byte // PEM
	public, fingerprint string // a line of authorized_keys, without its end
}

func newPair(comment string) (pair, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return pair{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return pair{}, err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return pair{}, err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	return pair{pem.EncodeToMemory(block), line + " " + comment, ssh.FingerprintSHA256(key)}, nil
}

// toFiles writes the pair and returns a function that removes it again.
func (k pair) toFiles(file string) (undo func() error, err error) {
	if err := writeNew(file, k.private, privateMode); err != nil {
		return nil, err
	}
	if err := writeNew(file+".pub", []byte(k.public+"\n"), publicMode); err != nil {
		return nil, errors.Join(err, os.Remove(file))
	}
	return func() error { return errors.Join(os.Remove(file), os.Remove(file+".pub")) }, nil
}

// writeNew writes a file that must not exist.
func writeNew(file string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}

// toSecret creates a Secret with the pair and returns a function that removes it again.
func (k pair) toSecret(ctx context.Context, c *cluster.Cluster, name string) (undo func() error, err error) {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name},
		Type:       corev1.SecretTypeSSHAuth,
		Data:       map[string][]byte{corev1.SSHAuthPrivateKey: k.private, "ssh-publickey": []byte(k.public + "\n")},
	}
	if err := c.Create(ctx, s, client.FieldOwner(fieldManager)); err != nil {
		return nil, err
	}
	return func() error { return c.Delete(context.WithoutCancel(ctx), s, client.Preconditions{UID: &s.UID}) }, nil
}

func until(t *metav1.Time) string {
	if t == nil {
		return ""
	}
	return ", until " + t.UTC().Format(time.RFC3339)
}

// assignKey creates an SFTPKey that assigns the key to the user.
func assignKey(ctx context.Context, k *cluster.Cluster, made madeKey) error {
	return k.Create(ctx, &v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: made.Namespace, Name: made.SFTPKey},
		Spec: v1alpha1.SFTPKeySpec{
			Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyPublicKey, PublicKey: made.PublicKey,
			UserRef: &v1alpha1.LocalUserReference{Name: made.User}, ExpirationTime: made.ExpirationTime,
		},
	}, client.FieldOwner(fieldManager))
}

// addKey appends a line to a user's keys. The list is a set that other clients may change as well, so the patch fails if one
// did in between, and is retried.
func addKey(ctx context.Context, k *cluster.Cluster, name, line string) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		u, err := k.User(ctx, name)
		if err != nil {
			return err
		}
		before := u.DeepCopy()
		auth := &u.Spec.Authentication
		auth.AuthorizedKeys = append(auth.AuthorizedKeys, line)
		return k.Patch(ctx, u, lockedPatch(before), client.FieldOwner(fieldManager))
	})
}

// lockedPatch returns the change since before, which must still be what is stored.
func lockedPatch(before *v1alpha1.SFTPUser) client.Patch {
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}
