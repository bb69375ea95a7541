package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/migrate"
)

// exitRejected: the manifests are written, and the report lists what is missing from them.
const exitRejected = 3

type importOptions struct {
	migrate.Options
	usersConf, authorizedKeys []string
	out, report               string
}

func (p *plugin) importCommand() *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "import --listener LISTENER [--users-conf FILE] [--authorized-keys DIRECTORY]",
		Short: "Turn users.conf and authorized_keys files into manifests",
		Long: `Reads users.conf of atmoz/sftp and directories of authorized_keys files, and writes SFTPUsers and Secrets as YAML. It
does not access a cluster. A report on standard error lists what cannot be imported, with the reason.

The path of a file in the directory determines its user: USER, USER.pub, USER.keys, USER.authorized_keys, USER/authorized_keys,
USER/.ssh/authorized_keys, USER/.ssh/keys/*, USER/keys/*.

Exits with 0 if everything was imported, and with 3 if something was rejected.`,
		Example: `  # See what would be imported
  kubectl sftp import --listener partners --users-conf users.conf --authorized-keys keys/ >/dev/null

  # Do it
  kubectl sftp import -n team-a --listener partners --users-conf users.conf --authorized-keys keys/ -f users.yaml
  kubectl apply --server-side -f users.yaml`,
		Args:              exactly(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if o.Listener == "" || len(o.usersConf)+len(o.authorizedKeys) == 0 {
				return usageError("--listener and at least one of --users-conf and --authorized-keys must be given")
			}
			var err error
			if o.Namespace, err = p.flags.Namespace(); err != nil {
				return err
			}
			return p.migrate(o)
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.Listener, "listener", "", "name of the SFTPListener that the users belong to")
	flags.StringVar(&o.ListenerNamespace, "listener-namespace", "", "namespace of the listener, if it is not that of the users")
	flags.StringVar(&o.CryptoPolicy, "crypto-policy", "", "crypto policy of the listener (default Modern2026): keys that it does not allow are rejected")
	flags.StringArrayVar(&o.usersConf, "users-conf", nil, "file with lines user:pass[:e][:uid[:gid[:dir1[,dir2]...]]]; may be repeated")
	flags.StringArrayVar(&o.authorizedKeys, "authorized-keys", nil, "directory with authorized_keys files; may be repeated")
	flags.StringVarP(&o.out, "file", "f", "", "write the manifests to this new file instead of standard output; it contains passwords")
	flags.StringVar(&o.report, "report", "", "write the report to this new file, as JSON, instead of standard error")
	_ = c.RegisterFlagCompletionFunc("listener", func(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return p.names(kindListener)(c, nil, begun)
	}) // the flag exists
	return c
}

func (p *plugin) migrate(o importOptions) error {
	m, err := migrate.New(o.Options)
	if err != nil {
		return err
	}
	for _, file := range o.usersConf {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		m.UsersConf(filepath.Base(file), data)
	}
	for _, dir := range o.authorizedKeys {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return errors.Join(fmt.Errorf("%s is not a directory", dir), err)
		}
		if err := m.KeyFiles(filepath.Base(filepath.Clean(dir)), os.DirFS(dir)); err != nil {
			return err
		}
	}
	objects, report := m.Finish()
	if err := p.writeManifests(o.out, objects); err != nil {
		return err
	}
	if err := p.writeReport(o.report, report); err != nil {
		return err
	}
	if len(report.Rejected) > 0 {
		return &exitError{code: exitRejected}
	}
	return nil
}

func (p *plugin) writeManifests(file string, o migrate.Objects) error {
	var out bytes.Buffer
	for i := range o.Secrets {
		if err := writeDocument(&out, &o.Secrets[i]); err != nil {
			return err
		}
	}
	for i := range o.Users {
		if err := writeDocument(&out, &o.Users[i]); err != nil {
			return err
		}
	}
	if file == "" {
		_, err := out.WriteTo(p.Out)
		return err
	}
	return writeNew(file, out.Bytes(), privateMode)
}

// writeDocument writes an object without its status and other fields set by the server.
func writeDocument(w io.Writer, object any) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return err
	}
	delete(fields, "status")
	unstructured.RemoveNestedField(fields, "metadata", "creationTimestamp")
	data, err := yaml.Marshal(fields)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "---\n%s", data)
	return err
}

func (p *plugin) writeReport(file string, r migrate.Report) error {
	if file != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		return writeNew(file, append(data, '\n'), publicMode)
	}
	for _, f := range r.Rejected {
		printFinding(p.Err, "rejected", f)
	}
	for _, f := range r.Notices {
		printFinding(p.Err, "notice", f)
	}
	fmt.Fprintf(p.Err, "%d users with %d keys and %d passwords; %d rejections, %d notices\n",
		r.Users, r.Keys, r.Passwords, len(r.Rejected), len(r.Notices))
	return nil
}

// printFinding removes characters that a terminal would interpret: all of the text may come from an untrusted file.
func printFinding(w io.Writer, kind string, f migrate.Finding) {
	where := ""
	if f.Where != "" {
		where = f.Where + ": "
	}
	if f.Login != "" {
		where += f.Login + ": "
	}
	fmt.Fprintf(w, "%s: %s%s\n", kind, printable(where), printable(f.Text))
}
