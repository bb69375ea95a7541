package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/podjob"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

type retentionOptions struct {
	list    bool
	limit   int
	timeout time.Duration
}

// maxListed bounds the files of each rule: `sftpd retention` prints no more, and the log of a Job is read up to a megabyte.
const maxListed = 1000

func (p *plugin) retention() *cobra.Command {
	var o retentionOptions
	c := &cobra.Command{
		Use:   "retention LISTENER [--list]",
		Short: "Show which files retention deletes or would delete",
		Long: `Shows the last run of each rule of a listener's retention: how many files match, how many are due, and how many were
deleted.

With --list, shows the files that are due now, at most --limit per rule. A Job in the listener's namespace looks for them, with the
image and the configuration of the listener's pods, and deletes nothing; you need permission to create and delete Jobs there, and to
read Deployments, pods and their logs.`,
		Example: `  # The last runs
  kubectl sftp retention partners

  # What is due now
  kubectl sftp retention partners --list`,
		Args:              exactly(cobra.ExactArgs(1)),
		ValidArgsFunction: p.names(kindListener),
		RunE: func(c *cobra.Command, args []string) error {
			if o.limit < 1 || o.limit > maxListed {
				return usageError("--limit must be 1 to %d", maxListed)
			}
			k, err := p.flags.Connect()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
			defer cancel()
			l := &v1alpha1.SFTPListener{}
			of := types.NamespacedName{Namespace: k.Namespace, Name: args[0]}
			if err := k.Get(ctx, of, l); err != nil {
				return fmt.Errorf("SFTPListener %s: %w", of, err)
			}
			if o.list {
				return p.listDue(ctx, k, l, o)
			}
			return p.printRuns(l)
		},
	}
	flags := c.Flags()
	flags.BoolVar(&o.list, "list", false, "list files that are due now")
	flags.IntVar(&o.limit, "limit", 100, "how many files of each rule to list") //nolint:mnd // a few screens
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long to wait; the Job keeps running after that")
	p.outputFlag(c, "json", "yaml")
	return c
}

// printRuns prints the last runs, from the status.
func (p *plugin) printRuns(l *v1alpha1.SFTPListener) error {
	if printed, err := p.data(l.Status.Retention); printed {
		return err
	}
	modes := map[string]string{}
	for _, r := range l.Spec.Retention.Rules {
		modes[r.Name] = string(r.Mode)
	}
	var t table
	t.add("RULE", "VOLUME", "MODE", "LAST RUN", "FILES", "DUE", "BYTES", "DELETED", "NOTE")
	number := func(n *int64) string {
		if n == nil {
			return ""
		}
		return strconv.FormatInt(*n, 10)
	}
	for _, r := range l.Status.Retention {
		at := ""
		if r.LastRunTime != nil {
			at = r.LastRunTime.UTC().Format(time.RFC3339)
		}
		mode := modes[r.Rule]
		if mode == "" {
			mode = string(v1alpha1.RetentionEnforce) // the built-in rule
		}
		t.add(printable(r.Rule), printable(r.Volume), mode, at,
			number(r.Files), number(r.DueFiles), number(r.DueBytes), number(r.DeletedFiles), printable(r.Message))
		delete(modes, r.Rule)
	}
	for _, r := range l.Spec.Retention.Rules {
		if mode, waits := modes[r.Name]; waits {
			t.add(printable(r.Name), r.Volume, mode, "", "", "", "", "", "has not run yet")
		}
	}
	return t.print(p.Out)
}

// dueLine is a line of `sftpd retention`: a file, or with Files the counts of a rule.
type dueLine struct {
	Rule     string    `json:"rule"`
	Volume   string    `json:"volume"`
	Path     string    `json:"path,omitempty"`
	Size     int64     `json:"size,omitempty"`
	Uploaded time.Time `json:"uploaded,omitzero"`
	Files    *int64    `json:"files,omitempty"`
	Due      int64     `json:"due,omitempty"`
	DueBytes int64     `json:"dueBytes,omitempty"`
	Message  string    `json:"message,omitempty"`
}

func (p *plugin) listDue(ctx context.Context, k *cluster.Cluster, l *v1alpha1.SFTPListener, o retentionOptions) error {
	in := podjob.Input{
		Listener: l, Deployment: &appsv1.Deployment{}, Name: "retention", Command: []string{"/sftpd", "retention"},
		Args: []string{"-config", render.ConfigDir, "-limit", strconv.Itoa(o.limit)}, Configuration: true, ReadOnly: true,
	}
	workload := types.NamespacedName{Namespace: l.Namespace, Name: render.WorkloadName(l)}
	if err := k.Get(ctx, workload, in.Deployment); err != nil {
		return fmt.Errorf("the Deployment of the listener, whose image and volumes are needed: %w", err)
	}
	pods, err := k.Pods(ctx, l)
	if err != nil {
		return err
	}
	in.Running = len(pods) > 0
	job, notes := podjob.New(in)
	if job == nil {
		return fmt.Errorf("SFTPListener %s/%s has no volume that outlives its pods", l.Namespace, l.Name)
	}
	for _, note := range notes {
		fmt.Fprintln(p.Err, "note:", note)
	}
	log, err := k.RunJob(ctx, job)
	lines, other := dueLines(log)
	if other != "" {
		fmt.Fprint(p.Err, printable(other)+"\n")
	}
	if printed, e := p.data(lines); printed {
		return errors.Join(e, err)
	}
	return errors.Join(p.printDue(lines), err)
}

// dueLines reads the log of a Job.
func dueLines(log string) (lines []dueLine, other string) {
	return jobLines(log, func(d dueLine) bool { return d.Rule != "" })
}

func (p *plugin) printDue(lines []dueLine) error {
	var t table
	t.add("RULE", "VOLUME", "UPLOADED", "BYTES", "PATH")
	listed := map[string]int64{}
	for _, d := range lines {
		if d.Files == nil {
			listed[d.Rule+" "+d.Volume]++
			t.add(printable(d.Rule), printable(d.Volume), d.Uploaded.UTC().Format(time.RFC3339), strconv.FormatInt(d.Size, 10), printable(d.Path))
		}
	}
	if err := t.print(p.Out); err != nil {
		return err
	}
	for _, d := range lines {
		if d.Files == nil {
			continue
		}
		more := ""
		if n := listed[d.Rule+" "+d.Volume]; n < d.Due {
			more = fmt.Sprintf("; %d of them are listed", n)
		}
		if d.Message != "" {
			more += "; " + printable(d.Message)
		}
		fmt.Fprintf(p.Err, "%s on volume %s: %d of %d files are due, with %d bytes%s\n",
			printable(d.Rule), printable(d.Volume), d.Due, *d.Files, d.DueBytes, more)
	}
	return nil
}
