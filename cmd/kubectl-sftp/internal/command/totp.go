package command

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/qrcode"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
)

// totpKey is the entry of a new Secret.
const totpKey = "totp"

// How a code of the app is confirmed: the number of tries, and the tolerated number of steps of 30 seconds. A larger clock
// error is reported.
const (
	confirmTries = 3
	confirmReach = 1
	skewReach    = 10
)

type totpOptions struct {
	rotate, require, noQR, noConfirm bool
	issuer                           string
}

func (p *plugin) totp() *cobra.Command {
	var o totpOptions
	c := &cobra.Command{
		Use:   "totp USER",
		Short: "Enroll a user's authenticator app, with a QR code in the terminal",
		Long: `Generates a 160-bit secret for an authenticator app (TOTP, RFC 6238), shows it as a QR code and an otpauth URI, and asks
for a code from the app. Then it writes the secret to a new Secret USER-totp, or to the one that the user refers to, and sets
spec.authentication.totpSecretRef. From then on each login needs a code after the key or password.

If a user has spec.authentication.methods, they must include TOTP: --require adds it to each one.
With --rotate, a new secret replaces an existing one; sessions that were opened with a code from the old one end.

Anyone who sees the QR code can generate codes. It is shown only once.`,
		Example: `  # The partner scans the code, and reads out what the app shows
  kubectl sftp totp acme

  # Without the partner: hand over the URI over a channel that you trust
  kubectl sftp totp acme --no-confirm -o json`,
		Args:              exactly(cobra.ExactArgs(1)),
		ValidArgsFunction: p.names(kindUser),
		RunE: func(c *cobra.Command, args []string) error {
			if p.output != "" && !o.noConfirm {
				return usageError("-o requires --no-confirm: a program cannot scan the QR code")
			}
			k, err := p.flags.Connect()
			if err != nil {
				return err
			}
			return p.enroll(c.Context(), k, args[0], o)
		},
	}
	flags := c.Flags()
	flags.BoolVar(&o.rotate, "rotate", false, "replace the secret that the user has")
	flags.BoolVar(&o.require, "require", false, "add TOTP to each of the user's methods")
	flags.BoolVar(&o.noQR, "no-qr", false, "print only the otpauth URI")
	flags.BoolVar(&o.noConfirm, "no-confirm", false, "do not ask for a code before anything is changed")
	flags.StringVar(&o.issuer, "issuer", "", "`name` that the app shows for the endpoint (default the listener's)")
	_ = c.RegisterFlagCompletionFunc("issuer", cobra.NoFileCompletions) // the flag exists
	p.outputFlag(c, "json", "yaml")
	return c
}

// enrolled is what `totp -o json` prints.
type enrolled struct {
	Namespace string   `json:"namespace"`
	User      string   `json:"user"`
	Secret    string   `json:"secret"`
	Key       string   `json:"key"`
	Created   bool     `json:"created"`
	URI       string   `json:"uri"`
	Methods   []string `json:"methods"`
}

func (p *plugin) enroll(ctx context.Context, k *cluster.Cluster, name string, o totpOptions) error {
	u, err := k.User(ctx, name)
	if err != nil {
		return err
	}
	auth := &u.Spec.Authentication
	ref := auth.TOTPSecretRef
	asks := slices.ContainsFunc(auth.Methods, asksCode)
	switch {
	case ref != nil && !o.rotate:
		return fmt.Errorf("SFTPUser %s/%s already has a secret, in Secret %s; --rotate replaces it, and apps with the old one stop working", u.Namespace, u.Name, ref.Name)
	case len(auth.Methods) > 0 && !asks && !o.require:
		return fmt.Errorf("no combination in spec.authentication.methods of SFTPUser %s/%s has %s; --require adds it to each one", u.Namespace, u.Name, v1alpha1.AuthTOTP)
	}
	secret := totp.Generate()
	// The caller may not be allowed to read the listener; its name is in the user.
	e := enrolled{
		Namespace: k.Namespace, User: name, Secret: name + "-totp", Key: totpKey,
		URI: secret.URI(cmp.Or(o.issuer, u.Spec.ListenerRef.Name), cmp.Or(u.Status.Username, name)),
	}
	if ref != nil {
		e.Secret, e.Key = ref.Name, cmp.Or(ref.Key, totpKey)
	}
	// Before a phone gets the secret: whether the caller may write it, and whether it can be stored.
	rehearsal := *k
	rehearsal.Client = client.NewDryRunClient(k.Client)
	if _, err := storeTOTP(ctx, &rehearsal, u.DeepCopy(), e, secret.Secret(), o.require); err != nil {
		return err
	}
	if p.output == "" {
		if err := p.show(e.URI, o); err != nil {
			return err
		}
	}
	if !o.noConfirm {
		if err := p.confirm(secret); err != nil {
			return err
		}
	}
	if e.Created, err = storeTOTP(ctx, k, u, e, secret.Secret(), o.require); err != nil {
		return err
	}
	if e.Methods, err = methodsOf(ctx, k, u); err != nil {
		return err
	}
	if done, err := p.data(e); done {
		return err
	}
	fmt.Fprintf(p.Out, "SFTPUser %s/%s has a new secret for an authenticator app, in Secret %s, entry %s. It logs in with: %s.\n",
		e.Namespace, e.User, e.Secret, e.Key, strings.Join(e.Methods, " or "))
	return nil
}

// storeTOTP writes the secret, and makes the user refer to it.
func storeTOTP(ctx context.Context, k *cluster.Cluster, u *v1alpha1.SFTPUser, e enrolled, secret string, require bool) (created bool, err error) {
	auth := &u.Spec.Authentication
	entry := secretEntry{Namespace: e.Namespace, Secret: e.Secret, Key: e.Key, field: "totpSecretRef", secretType: corev1.SecretTypeOpaque}
	if created, err = writeEntry(ctx, k, entry, secret, auth.TOTPSecretRef != nil); err != nil {
		return created, err
	}
	before := u.DeepCopy()
	auth.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: e.Secret, Key: e.Key}
	if require {
		requireCode(auth)
	}
	if err := k.Patch(ctx, u, lockedPatch(before), client.FieldOwner(fieldManager)); err != nil {
		return created, fmt.Errorf("the user does not refer to Secret %s yet, which holds the app's secret: %w", e.Secret, err)
	}
	return created, nil
}

func asksCode(m v1alpha1.MethodCombination) bool {
	return slices.Contains(m.Steps, v1alpha1.AuthTOTP)
}

// requireCode adds a code to each combination that has none.
func requireCode(auth *v1alpha1.UserAuthentication) {
	for i, m := range auth.Methods {
		if !asksCode(m) {
			auth.Methods[i].Steps = append(slices.Clip(m.Steps), v1alpha1.AuthTOTP)
		}
	}
}

// methodsOf returns the combinations that log a user in, as the operator determines them. Without permission to
// read the listener, its requirements are unknown.
func methodsOf(ctx context.Context, k *cluster.Cluster, u *v1alpha1.SFTPUser) ([]string, error) {
	l, err := k.ListenerOf(ctx, u)
	if err != nil {
		if !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
			return nil, err
		}
		l = &v1alpha1.SFTPListener{}
	}
	methods, _, err := attach.Methods(l, u)
	return methods.Strings(), err
}

// show prints the secret for the app.
func (p *plugin) show(uri string, o totpOptions) error {
	if !o.noQR {
		out, ok := p.Out.(*os.File)
		if err := qrcode.Write(p.Out, uri, ok && term.IsTerminal(int(out.Fd()))); err != nil {
			return err
		}
	}
	fmt.Fprintln(p.Out, uri)
	return nil
}

// confirm asks for a code, so that a QR code that was not scanned locks no user out.
func (p *plugin) confirm(secret totp.Key) error {
	in := bufio.NewReader(p.In)
	for range confirmTries {
		fmt.Fprint(p.Err, "Code that the app shows: ")
		line, err := in.ReadString('\n')
		code := strings.TrimSpace(line)
		if code == "" && err != nil {
			fmt.Fprintln(p.Err)
			return errors.New("no code was given, and nothing was changed; use --no-confirm to skip it")
		}
		offset, found := secret.Find(code, totp.Step(p.Now()), skewReach)
		switch {
		case found && offset >= -confirmReach && offset <= confirmReach:
			return nil
		case found:
			fmt.Fprintf(p.Err, "The code is off by %d seconds: the clock of the phone or of this machine is wrong.\n", offset*int(totp.Period.Seconds()))
		default:
			fmt.Fprintln(p.Err, "That is not the code.")
		}
	}
	return errors.New("the codes do not match, and nothing was changed; remove the entry from the app")
}
