package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/receipts"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// Exit codes of `receipts verify`, one for each kind of problem.
const (
	exitSignature = 3
	exitChain     = 4
	exitFiles     = 5
)

// readTimeout is for the ConfigMap of a listener.
const readTimeout = 30 * time.Second

type receiptsOptions struct {
	allowedSigners, listener, files string
}

func (p *plugin) receipts() *cobra.Command {
	c := &cobra.Command{Use: "receipts", Short: "Verify signed receipts for uploads"}
	c.AddCommand(p.receiptsVerify())
	return c
}

func (p *plugin) receiptsVerify() *cobra.Command {
	var o receiptsOptions
	c := &cobra.Command{
		Use:   "verify (--allowed-signers FILE | --listener NAME) [--files DIR] (DIR | FILE)...",
		Short: "Verify signatures and chains of receipts, and the files that they describe",
		Long: `Verifies receipts: files ID.json with ID.json.sig next to them, as in /.receipts, or lines of JSON with envelopes (DSSE) or
events that have one. All files with such names below a directory are read.

Each must be signed by a key that was allowed to sign when the file was published, and must name the previous receipt in its chain.
Receipts that are gone from the beginning of a chain are not reported, because servers remove old ones. Nothing in a chain shows whether
there were more after its last one: the audit log and the events do.

With --files, the latest receipt for each path is compared with the file there: its size and SHA-256.

Exit codes:
  0  everything is valid
  1  something cannot be read
  2  wrong command line
  3  a receipt is not readable, was changed, or was signed by a key that may not sign
  4  a receipt is missing from its chain, or was exchanged
  5  a file is missing, or is not what was uploaded`,
		Example: `  # As a partner, with the keys that the other side has published
  sftp partner@sftp.example.com:/.receipts/* receipts/
  kubectl sftp receipts verify --allowed-signers allowed_signers receipts/

  # With the uploaded files
  kubectl sftp receipts verify --listener partners --files outbox/ receipts/`,
		Args: exactly(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if (o.allowedSigners == "") == (o.listener == "") {
				return usageError("one of --allowed-signers and --listener must be given")
			}
			signers, err := p.allowedSigners(c.Context(), o)
			if err != nil {
				return err
			}
			report, err := receipts.Verify(receipts.Options{Names: args, Signers: signers, Files: o.files})
			if errors.Is(err, receipts.ErrSeveralUsers) {
				return usageError("%w", err)
			}
			if err != nil {
				return err
			}
			return p.printReceipts(report)
		},
	}
	c.Flags().StringVar(&o.allowedSigners, "allowed-signers", "", "file with the keys that may sign, see ssh-keygen(1)")
	c.Flags().StringVar(&o.listener, "listener", "", "SFTPListener whose keys may sign, from its ConfigMap in the cluster")
	c.Flags().StringVar(&o.files, "files", "", "directory with the uploaded files")
	_ = c.RegisterFlagCompletionFunc("listener", p.names(kindListener)) // the flag exists
	p.outputFlag(c, "json", "yaml")
	return c
}

// allowedSigners reads the keys that may sign.
func (p *plugin) allowedSigners(ctx context.Context, o receiptsOptions) (receipt.Signers, error) {
	var file []byte
	source := o.allowedSigners
	if o.listener == "" {
		var err error
		if file, err = os.ReadFile(o.allowedSigners); err != nil {
			return nil, err
		}
	} else {
		k, err := p.flags.Connect()
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		l := &v1alpha1.SFTPListener{}
		l.Namespace, l.Name = k.Namespace, o.listener
		keys := &corev1.ConfigMap{}
		name := types.NamespacedName{Namespace: k.Namespace, Name: render.KnownHostsName(l)}
		if err := k.Get(ctx, name, keys); err != nil {
			return nil, fmt.Errorf("the ConfigMap %s with the keys of receipts: %w", name, err)
		}
		source = fmt.Sprintf("%s of the ConfigMap %s", allowedSignersEntry, name)
		if file = []byte(keys.Data[allowedSignersEntry]); len(file) == 0 {
			return nil, fmt.Errorf("SFTPListener %s/%s issues no receipts: there is no %s", k.Namespace, o.listener, source)
		}
	}
	signers, err := receipt.ParseAllowedSigners(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	if len(signers) == 0 {
		return nil, fmt.Errorf("%s has no key that may sign receipts", source)
	}
	return signers, nil
}

// allowedSignersEntry is the entry of a listener's ConfigMap with the keys that may sign receipts.
const allowedSignersEntry = "allowed_signers"

func (p *plugin) printReceipts(r *receipts.Report) error {
	if printed, err := p.data(r); !printed {
		if err := p.printReport(r); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	switch {
	case r.Has(receipts.Unreadable, receipts.Signature):
		return &exitError{code: exitSignature}
	case r.Has(receipts.Missing, receipts.Forked, receipts.Exchanged):
		return &exitError{code: exitChain}
	case r.Has(receipts.NoFile, receipts.OtherContent):
		return &exitError{code: exitFiles}
	case r.Receipts == 0:
		return errors.New("there are no receipts")
	}
	return nil
}

func (p *plugin) printReport(r *receipts.Report) error {
	var t table
	if len(r.Chains) > 0 {
		t.add("LISTENER", "USER", "CHAIN", "FIRST", "LAST", "RECEIPTS")
	}
	for _, c := range r.Chains {
		t.add(c.Listener, c.User, c.Chain, strconv.FormatUint(c.First, 10), strconv.FormatUint(c.Last, 10), strconv.Itoa(c.Receipts))
	}
	if err := t.print(p.Out); err != nil {
		return err
	}
	for _, problem := range r.Problems {
		at := printable(problem.File)
		if problem.Path != "" {
			at += " (" + printable(problem.Path) + ")"
		}
		fmt.Fprintf(p.Out, "%s: %s: %s\n", problem.Kind, at, printable(problem.Detail))
	}
	fmt.Fprintf(p.Out, "%d receipts with a valid signature", r.Receipts)
	if r.Files > 0 {
		fmt.Fprintf(p.Out, ", %d files as they were uploaded", r.Files)
	}
	_, err := fmt.Fprintf(p.Out, ", %d problems\n", len(r.Problems))
	return err
}
