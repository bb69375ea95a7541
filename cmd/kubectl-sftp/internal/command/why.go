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
	since                          days
	last                           int
	noAudit                        bool
}

func (p *plugin) why() *cobra.Command {
	o := whyOptions{since: days{Duration: day}}
	c := &cobra.Command{
		Use:   "why USER [--from IP] [-i KEY | --fingerprint SHA256:... | --method METHOD]",
		Short: "Explain why a login is or would be denied",
		Long: `Goes through all that a login depends on, with the decisions that the operator itself makes: whether the listener
accepts the user, whether its pods have it, the networks, the method, the key, the crypto policy. Then shows what the
audit log of the listener's pods has about the user's logins, if you may read their logs. No connection is made.

The key may be a private or a public one; only its public half is looked at.

Exit codes: 0 nothing is in the way, 3 it is or would be denied, 4 not all could be checked.`,
		Example: `  kubectl sftp why acme --from 203.0.113.7 -i acme.pub
  kubectl sftp why acme --method password --since 2h
  kubectl sftp why acme --fingerprint SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI`,
		Args:              exactly(cobra.ExactArgs(1)),
		ValidArgsFunction: p.names(kindUser),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := o.input()
			if err != nil {
				return err
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
	flags.StringVarP(&o.key, "key", "i", "", "`file` with the client's key")
	flags.StringVar(&o.fingerprint, "fingerprint", "", "fingerprint of the client's key, as OpenSSH prints it")
	flags.StringVar(&o.method, "method", "", "publickey, password or keyboard-interactive (default publickey if there is a key)")
	flags.Var(&o.since, "since", "how far to look back in the audit log: 2h, 3d (default 1d)")
	flags.IntVar(&o.last, "last", 10, "how many lines of the audit log to show") //nolint:mnd // what fits on a screen
	flags.BoolVar(&o.noAudit, "no-audit", false, "do not look into the pods' logs")
	_ = c.RegisterFlagCompletionFunc("method", cobra.FixedCompletions(
		[]string{"publickey", "password", "keyboard-interactive"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	p.outputFlag(c, "json", "yaml")
	return c
}

// input is what the flags say about the login.
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
		return in, usageError("--key and --fingerprint exclude each other")
	case o.key != "":
		if in.Key, err = publicHalf(o.key); err != nil {
			return in, err
		}
		in.Fingerprint = ssh.FingerprintSHA256(in.Key)
	case o.fingerprint != "" && !strings.HasPrefix(o.fingerprint, "SHA256:"):
		return in, usageError(`--fingerprint must start with "SHA256:"`)
	default:
		in.Fingerprint = strings.TrimRight(o.fingerprint, "=")
	}
	switch o.method {
	case "":
		if in.Fingerprint != "" {
			in.Method = v1alpha1.AuthPublicKey
		}
	case "publickey":
		in.Method = v1alpha1.AuthPublicKey
	case "password", "keyboard-interactive":
		in.Method = v1alpha1.AuthPassword
	default:
		return in, usageError("--method must be publickey, password or keyboard-interactive")
	}
	return in, nil
}

// publicHalf reads a public key, or the public half of a private one.
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
	Namespace string          `json:"namespace"`
	User      string          `json:"user"`
	Listener  string          `json:"listener"`
	Verdict   explain.Result  `json:"verdict"`
	Checks    []explain.Check `json:"checks"`
	Audit     []explain.Line  `json:"audit"`
	// AuditNote says why there is no audit, or not all.
	AuditNote string `json:"auditNote,omitempty"`
}

func (p *plugin) explain(ctx context.Context, k *cluster.Cluster, name string, in explain.Input, o whyOptions) error {
	var err error
	if in.User, err = k.User(ctx, name); err != nil {
		return err
	}
	// Whose listener it is may keep it to themselves.
	if in.Listener, err = k.ListenerOf(ctx, in.User); err != nil && !apierrors.IsForbidden(err) {
		return err
	}
	e := explanation{Namespace: k.Namespace, User: name, Listener: cluster.ListenerName(in.User).String(), Audit: []explain.Line{}}
	if in.Users, in.AllUsers, err = k.UsersOf(ctx, cluster.ListenerName(in.User)); err != nil {
		return err
	}
	if in.NamespaceLabels, err = namespaceLabels(ctx, k); err != nil {
		return err
	}
	in.Source = cluster.Source{Reader: k}
	if e.Checks, err = explain.Explain(ctx, in); err != nil {
		return err
	}
	e.Verdict = explain.Verdict(e.Checks)
	if !o.noAudit {
		e.Audit, e.AuditNote = audit(ctx, k, in, o)
	}
	if done, err := p.data(e); done {
		return errors.Join(err, e.exit())
	}
	e.print(p)
	return e.exit()
}

// namespaceLabels returns nil if the caller may not read them.
func namespaceLabels(ctx context.Context, k *cluster.Cluster) (map[string]string, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := k.Get(ctx, types.NamespacedName{Name: k.Namespace}, ns)
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	return ns.Labels, err
}

// audit looks into the logs of all pods. What cannot be read is a note: the explanation is worth having without.
func audit(ctx context.Context, k *cluster.Cluster, in explain.Input, o whyOptions) (lines []explain.Line, note string) {
	lines = []explain.Line{}
	if in.Listener == nil {
		return lines, "you may not read the listener"
	}
	pods, err := k.Pods(ctx, in.Listener)
	if err != nil {
		return lines, err.Error()
	}
	login := cmp.Or(in.User.Status.Username, attach.Username(in.Listener, in.User))
	asked := explain.Asked{Username: login, Account: in.User.Namespace + "/" + in.User.Name, From: in.From}
	var notes []string
	for i := range pods {
		log, err := k.Logs(ctx, &pods[i], in.Now.Add(-o.since.Duration))
		if err == nil {
			var found []explain.Line
			found, err = explain.Search(log, asked)
			log.Close()
			lines = append(lines, found...)
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("log of pod %s: %v", pods[i].Name, err))
		}
	}
	return explain.Last(lines, o.last), strings.Join(notes, "; ")
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
		explain.OK:      "Nothing is in the way of this login.",
		explain.Denied:  "This login is denied.",
		explain.Unknown: "No reason to deny this login was found, but not all could be checked.",
	}
	fmt.Fprintf(p.Out, "\n%s\n", summary[e.Verdict])
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
