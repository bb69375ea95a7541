package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/explain"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
)

// Exit codes of `why`.
const (
	exitDenied  = 3
	exitUnknown = 4
)

type whyOptions struct {
	from, key, fingerprint, method string
	passwordStdin                  bool
	since                          days
	last                           int
	noAudit                        bool
}

func (p *plugin) why() *cobra.Command {
	o := whyOptions{since: days{Duration: day}}
	c := &cobra.Command{
		Use:   "why USER|LOGIN-NAME [--from IP] [-i KEY | --fingerprint SHA256:... | --method METHOD | --password-stdin]",
		Short: "Explain why a login is or would be denied",
		Long: `Checks everything that a login depends on, with the same decisions as the operator and its pods: whether the listener
accepts the user, whether its pods have loaded the user, the networks, the method, the key or certificate, the crypto policy. Refusals in
the audit log of the last 15 minutes count as evidence: only the pods know about penalties and connection limits. No
connection is made.

The key may be a private key, a public key or a certificate; only its public half is used. A password on standard input is
compared with the Secret, if you may read that.

Anything that cannot be checked is "unknown", with what the check would need: an address, a key, or a missing permission. What
only the client can prove is "assumed".

Exit codes: 0 the listener allows it, 3 it is or would be denied, 4 not everything could be checked.`,
		Example: `  kubectl sftp why acme --from 203.0.113.7 -i acme.pub
  kubectl sftp why acme --method Password --since 2h
  kubectl sftp why acme --fingerprint SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI
  kubectl sftp why team-a.acme --from 203.0.113.7`,
		Args:              exactly(cobra.ExactArgs(1)),
		ValidArgsFunction: p.names(kindUser),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := o.input()
			if err != nil {
				return err
			}
			if o.passwordStdin {
				text, err := readPassword(p.In)
				if err != nil {
					return err
				}
				in.Password = []byte(text)
			}
			in.Now = p.Now()
			k, err := p.flags.Connect()
			if err != nil {
				return err
			}
			return p.explain(c.Context(), k, args[0], in, o)
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.from, "from", "", "the client's `address`")
	flags.StringVarP(&o.key, "key", "i", "", "`file` with the client's key or certificate")
	flags.StringVar(&o.fingerprint, "fingerprint", "", "fingerprint of the client's key, as OpenSSH prints it")
	flags.StringVar(&o.method, "method", "", "PublicKey or Password (default PublicKey if there is a key)")
	flags.BoolVar(&o.passwordStdin, "password-stdin", false, "compare the password on standard input; a trailing newline is ignored")
	flags.Var(&o.since, "since", "how far to look back in the audit log: 2h, 3d (default 1d)")
	flags.IntVar(&o.last, "last", 10, "how many lines of the audit log to show") //nolint:mnd // what fits on a screen
	flags.BoolVar(&o.noAudit, "no-audit", false, "do not read the pods' logs; penalties and limits are then not checked")
	_ = c.RegisterFlagCompletionFunc("method", cobra.FixedCompletions(
		[]string{string(v1alpha1.AuthPublicKey), string(v1alpha1.AuthPassword)}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	p.outputFlag(c, "json", "yaml")
	return c
}

// input returns the login described by the flags.
func (o whyOptions) input() (explain.Input, error) {
	var in explain.Input
	var err error
	if o.from != "" {
		if in.From, err = netip.ParseAddr(o.from); err != nil {
			return in, usageError("--from: %w", err)
		}
	}
	switch {
	case o.key != "" && o.fingerprint != "":
		return in, usageError("--key and --fingerprint are mutually exclusive")
	case o.key != "":
		if in.Key, err = publicHalf(o.key); err != nil {
			return in, err
		}
		if c, ok := in.Key.(*ssh.Certificate); ok {
			in.Key, in.Certificate = c.Key, c
		}
		in.Fingerprint = ssh.FingerprintSHA256(in.Key)
	case o.fingerprint != "" && !strings.HasPrefix(o.fingerprint, "SHA256:"):
		return in, usageError(`--fingerprint must start with "SHA256:"`)
	default:
		in.Fingerprint = strings.TrimRight(o.fingerprint, "=")
	}
	switch m := v1alpha1.AuthMethod(o.method); {
	case m == "" && in.Fingerprint != "":
		in.Method = v1alpha1.AuthPublicKey
	case m == "" && o.passwordStdin:
		in.Method = v1alpha1.AuthPassword
	case m == "", m == v1alpha1.AuthPublicKey, m == v1alpha1.AuthPassword:
		in.Method = m
	default:
		return in, usageError("--method must be PublicKey or Password")
	}
	return in, nil
}

// publicHalf reads a public key, or that of a private key.
func publicHalf(file string) (ssh.PublicKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if public, _, _, _, err := ssh.ParseAuthorizedKey(data); err == nil {
		return public, nil
	}
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return signer.PublicKey(), nil
	case errors.As(err, &locked) && locked.PublicKey != nil:
		return locked.PublicKey, nil
	}
	return nil, fmt.Errorf("%s is neither a public nor a private key: %w", file, err)
}

// explanation is what `why -o json` prints.
type explanation struct {
	Namespace string         `json:"namespace"`
	User      string         `json:"user"`
	Listener  string         `json:"listener"`
	Verdict   explain.Result `json:"verdict"`
	// Reason that the audit log has for the refusal, if the login reaches the listener's pods at all.
	Reason string          `json:"reason,omitempty"`
	Checks []explain.Check `json:"checks"`
	Audit  []explain.Line  `json:"audit"`
	// AuditNote is why there is no audit log, or only part of it.
	AuditNote string `json:"auditNote,omitempty"`
}

func (p *plugin) explain(ctx context.Context, k *cluster.Cluster, name string, in explain.Input, o whyOptions) error {
	var err error
	if in.User, err = k.FindUser(ctx, name); err != nil {
		return err
	}
	// The listener's owner may keep it private.
	in.Listener, err = k.ListenerOf(ctx, in.User)
	switch in.NoListener = apierrors.IsNotFound(err); {
	case in.NoListener || apierrors.IsForbidden(err):
		in.Listener = nil
	case err != nil:
		return err
	}
	e := explanation{Namespace: in.User.Namespace, User: in.User.Name, Listener: cluster.ListenerName(in.User).String()}
	if in.Users, in.AllUsers, err = k.UsersOf(ctx, cluster.ListenerName(in.User)); err != nil {
		return err
	}
	if in.NamespaceLabels, err = namespaceLabels(ctx, k, in.User.Namespace); err != nil {
		return err
	}
	in.Source = cluster.Source{Reader: k}
	in.Log = audit(ctx, k, in, o)
	found, err := explain.Explain(ctx, in)
	if err != nil {
		return err
	}
	e.Verdict, e.Reason, e.Checks = found.Verdict, string(found.Reason), found.Checks
	e.Audit = explain.Last(explain.Since(in.Log.Lines, in.Now.Add(-o.since.Duration)), o.last)
	if !o.noAudit {
		e.AuditNote = in.Log.Missing
	}
	if done, err := p.data(e); done {
		return errors.Join(err, e.exit())
	}
	e.print(p)
	return e.exit()
}

// namespaceLabels returns nil if the caller may not read them.
func namespaceLabels(ctx context.Context, k *cluster.Cluster, namespace string) (map[string]string, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := k.Get(ctx, types.NamespacedName{Name: namespace}, ns)
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	return ns.Labels, err
}

// audit reads the logs of all pods. Errors that prevented reading some of them are part of the result.
func audit(ctx context.Context, k *cluster.Cluster, in explain.Input, o whyOptions) (out explain.Log) {
	switch {
	case o.noAudit:
		out.Missing = "--no-audit was given"
		return out
	case in.Listener == nil:
		out.Missing = "you may not read the listener"
		return out
	}
	pods, err := k.Pods(ctx, in.Listener)
	if err != nil {
		out.Missing = err.Error()
		return out
	}
	login := cmp.Or(in.User.Status.Username, attach.Username(in.Listener, in.User))
	asked := explain.Asked{Username: login, Account: in.User.Namespace + "/" + in.User.Name, From: in.From}
	since := in.Now.Add(-max(o.since.Duration, explain.Recently))
	var notes []string
	for i := range pods {
		log, err := k.Logs(ctx, &pods[i], since)
		if err == nil {
			var found []explain.Line
			found, err = explain.Search(log, asked)
			log.Close()
			out.Lines = append(out.Lines, found...)
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("log of pod %s: %v", pods[i].Name, err))
		}
	}
	out.Missing = strings.Join(notes, "; ")
	return out
}

func (e explanation) exit() error {
	switch e.Verdict {
	case explain.OK:
		return nil
	case explain.Denied:
		return &exitError{code: exitDenied}
	default:
		return &exitError{code: exitUnknown}
	}
}

func (e explanation) print(p *plugin) {
	for _, c := range e.Checks {
		fmt.Fprintf(p.Out, "%-8s %-20s %s\n", c.Result, c.Name, printable(c.Text))
	}
	summary := map[explain.Result]string{
		explain.OK:      "The listener allows this login, provided that the assumptions about the client hold.",
		explain.Denied:  "This login is denied.",
		explain.Unknown: "No reason to deny this login was found, but not everything could be checked: see the unknown results.",
	}
	text := summary[e.Verdict]
	if e.Reason != "" {
		text = fmt.Sprintf("This login is denied. The reason in the audit log is %s.", e.Reason)
	}
	fmt.Fprintf(p.Out, "\n%s\n", text)
	if len(e.Audit) > 0 {
		fmt.Fprintln(p.Out, "\nFrom the audit log:")
	}
	for _, l := range e.Audit {
		fmt.Fprintln(p.Out, " ", printable(auditText(l)))
	}
	if e.AuditNote != "" {
		fmt.Fprintln(p.Err, "Not all of the audit log could be read:", e.AuditNote)
	}
}

func auditText(l explain.Line) string {
	text := fmt.Sprintf("%s %s from %s", l.Time.UTC().Format(time.RFC3339), l.Event, l.Source)
	if len(l.Methods) > 0 {
		text += " by " + strings.Join(l.Methods, ",")
	}
	if l.KeyFingerprint != "" {
		text += " with " + l.KeyFingerprint
	}
	if len(l.KeysOffered) > 0 {
		text += " offering " + strings.Join(l.KeysOffered, ",")
	}
	if l.Count > 1 {
		text += fmt.Sprintf(", %d times", l.Count)
	}
	if l.Reason != "" {
		text += ": " + l.Reason
	}
	if l.Meaning != "" {
		text += " (" + l.Meaning + ")"
	}
	if l.Detail != "" {
		text += "; " + l.Detail
	}
	return text
}
