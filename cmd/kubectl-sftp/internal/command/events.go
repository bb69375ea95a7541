package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

type eventsOptions struct {
	sink    string
	ids     []string
	timeout time.Duration
}

// deadLetter is a dead letter as printed for programs.
type deadLetter struct {
	Sink   string    `json:"sink"`
	Pod    string    `json:"pod"`
	ID     string    `json:"id"`
	Type   string    `json:"type"`
	User   string    `json:"user,omitempty"`
	Path   string    `json:"path,omitempty"`
	Time   time.Time `json:"time"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// maxLetters bounds the dead letters that are read of a pod and sink. The daemon keeps as many.
const maxLetters = events.MaxDead

func (p *plugin) events() *cobra.Command {
	c := &cobra.Command{
		Use:   "events",
		Short: "Show, resend or drop events that could not be delivered",
		Long: `Shows the dead letters of a listener: events that a receiver refused, or did not accept in time. They are in the pods of the
listener, which are reached through forwarded ports. You need permission to get the Secret LISTENER-sftp-relay, which has the
key for that, to list pods, and to create pods/portforward.`,
	}
	c.AddCommand(
		p.eventsCommand("list", "Show dead letters", "", p.listEvents),
		p.eventsCommand("replay", "Send dead letters again", "  # All of a sink, after its receiver was repaired\n  kubectl sftp events replay partners --sink jobs",
			func(ctx context.Context, k *cluster.Cluster, l *v1alpha1.SFTPListener, o eventsOptions) error {
				return p.selectEvents(ctx, k, l, o, "sent again", (*events.Client).Replay)
			}),
		p.eventsCommand("drop", "Delete dead letters permanently", "  # One\n  kubectl sftp events drop partners --sink jobs --id 01JE7Q8V",
			func(ctx context.Context, k *cluster.Cluster, l *v1alpha1.SFTPListener, o eventsOptions) error {
				return p.selectEvents(ctx, k, l, o, "dropped", (*events.Client).Drop)
			}),
	)
	return c
}

func (p *plugin) eventsCommand(
	name, short, example string, run func(context.Context, *cluster.Cluster, *v1alpha1.SFTPListener, eventsOptions) error,
) *cobra.Command {
	var o eventsOptions
	c := &cobra.Command{
		Use: name + " LISTENER [--sink NAME] [--id ID]", Short: short, Example: example,
		Args: exactly(cobra.ExactArgs(1)), ValidArgsFunction: p.names(kindListener),
		RunE: func(c *cobra.Command, args []string) error {
			if name != "list" && o.sink == "" {
				return usageError("--sink must be given")
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
			if err := checkSink(l, o.sink); err != nil {
				return err
			}
			return run(ctx, k, l, o)
		},
	}
	c.Flags().StringVar(&o.sink, "sink", "", "name of the sink")
	c.Flags().StringSliceVar(&o.ids, "id", nil, "id of an event; several may be given. Default: all of the sink")
	c.Flags().DurationVar(&o.timeout, "timeout", time.Minute, "how long to wait for the pods")
	if name == "list" {
		p.outputFlag(c, "json", "yaml")
	}
	return c
}

func checkSink(l *v1alpha1.SFTPListener, sink string) error {
	if l.Spec.Events == nil {
		return fmt.Errorf("SFTPListener %s/%s has no spec.events", l.Namespace, l.Name)
	}
	if sink != "" && !slices.Contains(sinkNames(l), sink) {
		return fmt.Errorf("SFTPListener %s/%s has no sink %q, but %s", l.Namespace, l.Name, sink, strings.Join(sinkNames(l), ", "))
	}
	return nil
}

func sinkNames(l *v1alpha1.SFTPListener) (out []string) {
	for i := range l.Spec.Events.Sinks {
		out = append(out, l.Spec.Events.Sinks[i].Name)
	}
	return out
}

// eachPod asks the pods of a listener, one after another. Pods that cannot be asked do not keep the others from being asked.
func (p *plugin) eachPod(
	ctx context.Context, k *cluster.Cluster, l *v1alpha1.SFTPListener, ask func(client *events.Client, pod, base string) error,
) error {
	key, err := eventsKey(ctx, k, l)
	if err != nil {
		return err
	}
	pods, err := k.Pods(ctx, l)
	if err != nil {
		return err
	}
	var errs []error
	asked := 0
	for i := range pods {
		if pods[i].Status.Phase != corev1.PodRunning {
			continue
		}
		asked++
		if err := p.askPod(ctx, k, &pods[i], key, ask); err != nil {
			errs = append(errs, fmt.Errorf("pod %s: %w", pods[i].Name, err))
		}
	}
	if asked == 0 {
		return fmt.Errorf("SFTPListener %s/%s has no running pod, and pods keep the events", l.Namespace, l.Name)
	}
	return errors.Join(errs...)
}

func (p *plugin) askPod(
	ctx context.Context, k *cluster.Cluster, pod *corev1.Pod, key []byte, ask func(client *events.Client, pod, base string) error,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	address, err := k.ForwardTo(ctx, pod, render.HealthPort, p.Err)
	if err != nil {
		return err
	}
	return ask(&events.Client{Key: key}, pod.Name, "http://"+address)
}

// eventsKey returns the key for the pods' events, which the relay's configuration has.
func eventsKey(ctx context.Context, k *cluster.Cluster, l *v1alpha1.SFTPListener) ([]byte, error) {
	secret := &corev1.Secret{}
	name := types.NamespacedName{Namespace: l.Namespace, Name: render.RelayName(l)}
	if err := k.Get(ctx, name, secret); err != nil {
		return nil, fmt.Errorf("get Secret %s with the key for events: %w", name, err)
	}
	config, err := delivery.Decode(secret.Data[delivery.ConfigFile])
	if err != nil {
		return nil, fmt.Errorf("the Secret %s: %w", name, err)
	}
	return events.ParseKey([]byte(config.Key))
}

func (p *plugin) listEvents(ctx context.Context, k *cluster.Cluster, l *v1alpha1.SFTPListener, o eventsOptions) error {
	sinks := sinkNames(l)
	if o.sink != "" {
		sinks = []string{o.sink}
	}
	letters := []deadLetter{}
	failed := p.eachPod(ctx, k, l, func(c *events.Client, pod, base string) error {
		for _, sink := range sinks {
			found, err := readLetters(ctx, c, base, sink)
			if err != nil {
				return err
			}
			for _, f := range found {
				if f.Pod = pod; len(o.ids) == 0 || slices.Contains(o.ids, f.ID) {
					letters = append(letters, f)
				}
			}
		}
		return nil
	})
	if printed, err := p.data(letters); printed {
		return errors.Join(err, failed)
	}
	if len(letters) == 0 && failed == nil {
		fmt.Fprintln(p.Err, "There are no dead letters.")
		return nil
	}
	if len(letters) == 0 {
		return failed
	}
	var t table
	t.add("SINK", "ID", "TYPE", "USER", "PATH", "AGE", "REASON")
	for _, d := range letters {
		t.add(printable(d.Sink), printable(d.ID), printable(d.Type), printable(d.User), printable(d.Path),
			p.Now().Sub(d.Time).Truncate(time.Second).String(), printable(d.Reason))
	}
	return errors.Join(t.print(p.Out), failed)
}

// readLetters reads the dead letters of a sink in a pod.
func readLetters(ctx context.Context, c *events.Client, base, sink string) (out []deadLetter, err error) {
	for after := ""; len(out) < maxLetters; {
		lines, err := c.DeadLetters(ctx, base, events.Query{Sink: sink, After: after, Limit: events.MaxLimit})
		if err != nil || len(lines) == 0 {
			return out, err
		}
		for _, l := range lines {
			d := deadLetter{Sink: sink, Since: l.Since, Reason: l.Reason}
			if e, err := events.Decode(l.Event); err == nil {
				d.ID, d.Type, d.User, d.Path, d.Time = e.ID, string(e.Type), e.Data.User, e.Data.Path, e.Time
			}
			out = append(out, d)
		}
		after = lines[len(lines)-1].Cursor
	}
	return out, nil
}

func (p *plugin) selectEvents(
	ctx context.Context, k *cluster.Cluster, l *v1alpha1.SFTPListener, o eventsOptions, done string,
	act func(*events.Client, context.Context, string, events.Selection) (int, error),
) error {
	total := 0
	err := p.eachPod(ctx, k, l, func(c *events.Client, _, base string) error {
		n, err := act(c, ctx, base, events.Selection{Sink: o.sink, IDs: o.ids, All: len(o.ids) == 0})
		total += n
		return err
	})
	fmt.Fprintf(p.Out, "%d dead letters of sink %s %s\n", total, o.sink, done)
	if err == nil && total == 0 && len(o.ids) > 0 {
		return fmt.Errorf("no dead letter of sink %s has one of these ids", o.sink)
	}
	return err
}
