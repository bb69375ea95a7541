package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/purge"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

type purgeOptions struct {
	listener, listenerNamespace string
	yes, receipts               bool
	timeout                     time.Duration
}

// purgedVolume is the result for the directory on one volume. `sftpd purge` prints it.
type purgedVolume struct {
	Volume      string `json:"volume"`
	Exists      bool   `json:"exists"`
	Files       int    `json:"files"`
	Directories int    `json:"directories"`
	Bytes       int64  `json:"bytes"`
	Unreadable  int    `json:"unreadable,omitempty"`
	Removed     bool   `json:"removed"`

	Receipts        int    `json:"receipts,omitempty"`
	ReceiptsRemoved bool   `json:"receiptsRemoved,omitempty"`
	Error           string `json:"error,omitempty"`
}

func (p *plugin) purge() *cobra.Command {
	var o purgeOptions
	c := &cobra.Command{
		Use:   "purge USER --listener LISTENER [--yes [--receipts]]",
		Short: "Remove the files of a deleted user",
		Long: `Removes the directory of a user that has been deleted, NAMESPACE/USER, from the volumes of its listener. Nothing else
removes it. Without --yes, counts what is there and removes nothing.

The user's receipts are also counted. They are evidence of what was uploaded, so they are kept unless --receipts is given; the
listener removes them itself 90 days after the upload.

It refuses to run while the SFTPUser exists, or while another one has a directory in it, so it needs to list the SFTPUsers of
all namespaces. The work is done by a Job in the listener's namespace, with the image, the volumes and the permissions of the
listener's pods; you need permission to create and delete Jobs there, and to read pods and their logs.`,
		Example: `  # What is there
  kubectl sftp purge acme --listener partners

  # Remove it permanently
  kubectl sftp purge acme --listener partners --yes

  # Remove its receipts as well
  kubectl sftp purge acme --listener partners --yes --receipts`,
		Args:              exactly(cobra.ExactArgs(1)),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			if o.listener == "" {
				return usageError("--listener must be given, because a deleted user no longer names its listener")
			}
			k, err := p.flags.Connect()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
			defer cancel()
			return p.runPurge(ctx, k, args[0], o)
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.listener, "listener", "", "name of the SFTPListener that the user had")
	flags.StringVar(&o.listenerNamespace, "listener-namespace", "", "namespace of the listener, if it is not that of the user")
	flags.BoolVar(&o.yes, "yes", false, "remove the files permanently")
	flags.BoolVar(&o.receipts, "receipts", false, "with --yes, remove the user's receipts as well")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long to wait; the Job keeps running after that")
	_ = c.RegisterFlagCompletionFunc("listener", func(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return p.names(kindListener)(c, nil, begun)
	}) // the flag exists
	p.outputFlag(c, "json", "yaml")
	return c
}

func (p *plugin) runPurge(ctx context.Context, k *cluster.Cluster, name string, o purgeOptions) error {
	in, err := purgeInput(ctx, k, name, o)
	if err != nil {
		return err
	}
	plan, err := purge.Decide(in)
	if err != nil {
		return err
	}
	for _, note := range plan.Notes {
		fmt.Fprintln(p.Err, "note:", note)
	}
	log, err := k.RunJob(ctx, plan.Job)
	volumes, other := purgedVolumes(log)
	if other != "" {
		fmt.Fprint(p.Err, printable(other)+"\n")
	}
	if printed, e := p.data(volumes); printed {
		return errors.Join(e, err)
	}
	if len(volumes) > 0 {
		if e := p.printPurged(volumes); e != nil {
			return e
		}
	}
	if err == nil {
		p.notePurged(in.Directory(), volumes, o)
	}
	return err
}

// notePurged prints what was not removed, and what would remove it.
func (p *plugin) notePurged(directory string, volumes []purgedVolume, o purgeOptions) {
	kept := 0
	for _, v := range volumes {
		if !v.ReceiptsRemoved {
			kept += v.Receipts
		}
	}
	if !o.yes {
		fmt.Fprintf(p.Err, "Nothing was removed. --yes permanently removes %s from these volumes.\n", directory)
	}
	if kept > 0 {
		fmt.Fprintf(p.Err, "%d receipts of uploads are kept, for 90 days at most; --yes --receipts permanently removes them as well.\n", kept)
	}
}

func purgeInput(ctx context.Context, k *cluster.Cluster, name string, o purgeOptions) (purge.Input, error) {
	in := purge.Input{
		Namespace: k.Namespace, Name: name, Remove: o.yes, RemoveReceipts: o.yes && o.receipts,
		Listener: &v1alpha1.SFTPListener{}, Deployment: &appsv1.Deployment{},
	}
	of := types.NamespacedName{Namespace: k.Namespace, Name: o.listener}
	if o.listenerNamespace != "" {
		of.Namespace = o.listenerNamespace
	}
	if err := k.Get(ctx, of, in.Listener); err != nil {
		return in, fmt.Errorf("SFTPListener %s: %w", of, err)
	}
	workload := types.NamespacedName{Namespace: of.Namespace, Name: render.WorkloadName(in.Listener)}
	if err := k.Get(ctx, workload, in.Deployment); err != nil {
		return in, fmt.Errorf("the Deployment of the listener, whose image and volumes are needed: %w", err)
	}
	var users v1alpha1.SFTPUserList
	if err := k.List(ctx, &users); err != nil {
		return in, fmt.Errorf("all namespaces have to be searched for other SFTPUsers with a directory there: %w", err)
	}
	in.Users = users.Items
	pods, err := k.Pods(ctx, in.Listener)
	in.Running = len(pods) > 0
	return in, err
}

// purgedVolumes reads the log of a Job.
func purgedVolumes(log string) (volumes []purgedVolume, other string) {
	return jobLines(log, func(v purgedVolume) bool { return v.Volume != "" })
}

// jobLines reads the lines of a Job's log that are results. All others are returned unchanged.
func jobLines[T any](log string, isResult func(T) bool) (results []T, other string) {
	var rest []string
	for line := range strings.Lines(log) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil || !isResult(v) {
			rest = append(rest, strings.TrimSpace(line))
			continue
		}
		results = append(results, v)
	}
	return results, strings.Join(rest, "\n")
}

func (p *plugin) printPurged(volumes []purgedVolume) error {
	var t table
	t.add("VOLUME", "FILES", "DIRECTORIES", "BYTES", "RECEIPTS", "STATE")
	for _, v := range volumes {
		state := "there"
		switch {
		case v.Error != "":
			state = printable(v.Error)
		case v.Removed:
			state = "removed"
		case !v.Exists:
			state = "no such directory"
		case v.Unreadable > 0:
			state = fmt.Sprintf("there; %d directories cannot be read", v.Unreadable)
		}
		if v.ReceiptsRemoved {
			state += "; receipts removed"
		}
		t.add(printable(v.Volume), strconv.Itoa(v.Files), strconv.Itoa(v.Directories), strconv.FormatInt(v.Bytes, 10), strconv.Itoa(v.Receipts), state)
	}
	return t.print(p.Out)
}
