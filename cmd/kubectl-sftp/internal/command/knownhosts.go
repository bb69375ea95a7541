package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// knownHostsOf is what `known-hosts -o json` prints for a listener.
type knownHostsOf struct {
	Namespace  string   `json:"namespace"`
	Listener   string   `json:"listener"`
	KnownHosts []string `json:"knownHosts"`
}

func (p *plugin) knownHosts() *cobra.Command {
	c := &cobra.Command{
		Use:   "known-hosts [LISTENER]",
		Short: "Print lines for an OpenSSH known_hosts file",
		Long: `Prints the host keys of a listener, or of all listeners in the namespace, as lines of an OpenSSH known_hosts file:
one for each address and key. They include upcoming and retiring keys: a client that has
all lines does not notice a rotation. Give them to your partners over a channel that they trust.`,
		Example: `  # What partners have to trust
  kubectl sftp known-hosts partners

  # Trust them on this machine
  kubectl sftp known-hosts partners >>~/.ssh/known_hosts`,
		Args:              exactly(cobra.MaximumNArgs(1)),
		ValidArgsFunction: p.names(kindListener),
		RunE: func(c *cobra.Command, args []string) error {
			listeners, err := p.listeners(c, args)
			if err != nil {
				return err
			}
			out := []knownHostsOf{}
			var missing []error
			for _, l := range listeners {
				out = append(out, knownHostsOf{l.Namespace, l.Name, l.Status.KnownHosts})
				if len(l.Status.KnownHosts) == 0 {
					missing = append(missing, fmt.Errorf("SFTPListener %s/%s has no host keys or no address yet; see kubectl sftp status %s", l.Namespace, l.Name, l.Name))
				}
			}
			if done, err := p.data(out); done {
				return err
			}
			for _, l := range out {
				if len(l.KnownHosts) > 0 {
					fmt.Fprintln(p.Out, strings.Join(l.KnownHosts, "\n"))
				}
			}
			return errors.Join(missing...)
		},
	}
	p.outputFlag(c, "json", "yaml")
	return c
}

// listeners returns the one that was named, or all of the namespace.
func (p *plugin) listeners(c *cobra.Command, args []string) ([]v1alpha1.SFTPListener, error) {
	k, err := p.flags.Connect()
	if err != nil {
		return nil, err
	}
	if len(args) > 0 {
		l := v1alpha1.SFTPListener{}
		if err := k.Get(c.Context(), types.NamespacedName{Namespace: k.Namespace, Name: args[0]}, &l); err != nil {
			return nil, err
		}
		return []v1alpha1.SFTPListener{l}, nil
	}
	var list v1alpha1.SFTPListenerList
	if err := k.List(c.Context(), &list, client.InNamespace(k.Namespace)); err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("no SFTPListener in namespace %s", k.Namespace)
	}
	return list.Items, nil
}
