package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/inventory"
)

type keysOptions struct {
	everywhere, shared bool
	expiring, unused   days
}

func (p *plugin) keys() *cobra.Command {
	var o keysOptions
	c := &cobra.Command{
		Use:   "keys [USER]",
		Short: "List the public keys that may log in, with their user, origin, strength and expiration",
		Long: `Lists the public keys of a user, or of all users of the namespace: owner, listener, fingerprint, type, size,
source, expiration, and the day of the last login.

States: those of status.keys (kubectl explain sftpuser.status.keys.state), and Pending (the operator has not seen the key),
Invalid (unusable; -o wide shows why), Suspended and UserExpired (its user is suspended or has expired).`,
		Example: `  # All keys in the cluster, with comments and remarks
  kubectl sftp keys -A -o wide

  # Keys that expire within 30 days, or have expired
  kubectl sftp keys -A --expiring 30d

  # Keys that have not been used for 90 days
  kubectl sftp keys -A --unused 90d

  # Keys that more than one user has
  kubectl sftp keys -A --shared -o json`,
		Args:              exactly(cobra.MaximumNArgs(1)),
		ValidArgsFunction: p.names(kindUser),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := p.flags.Connect()
			if err != nil {
				return err
			}
			users, err := usersFor(c, k, args, o.everywhere)
			if err != nil {
				return err
			}
			return p.printKeys(o.filter(inventory.Of(users, p.Now()), p.Now()), o.everywhere)
		},
	}
	c.Flags().BoolVarP(&o.everywhere, "all-namespaces", "A", false, "list the keys of all namespaces")
	c.Flags().BoolVar(&o.shared, "shared", false, "only keys that more than one of the listed users has")
	c.Flags().Var(&o.expiring, "expiring", "only keys that expire within this time or have expired, on their own or with their user: 30d, 12h")
	c.Flags().Var(&o.unused, "unused", "only keys that were added this long ago and not used since: 90d")
	p.outputFlag(c, "wide", "json", "yaml")
	return c
}

func usersFor(c *cobra.Command, k *cluster.Cluster, args []string, everywhere bool) ([]v1alpha1.SFTPUser, error) {
	if len(args) > 0 {
		if everywhere {
			return nil, usageError("a name and --all-namespaces are mutually exclusive")
		}
		u, err := k.User(c.Context(), args[0])
		if err != nil {
			return nil, err
		}
		return []v1alpha1.SFTPUser{*u}, nil
	}
	namespace := k.Namespace
	if everywhere {
		namespace = ""
	}
	var list v1alpha1.SFTPUserList
	err := k.List(c.Context(), &list, client.InNamespace(namespace))
	return list.Items, err
}

func (o keysOptions) filter(keys []inventory.Key, now time.Time) []inventory.Key {
	out := []inventory.Key{}
	for _, k := range keys {
		if o.expiring.set && (k.ExpirationTime == nil || k.ExpirationTime.After(now.Add(o.expiring.Duration))) {
			continue
		}
		if o.unused.set && !k.Unused(now.Add(-o.unused.Duration)) {
			continue
		}
		if o.shared && len(k.SharedWith) == 0 {
			continue
		}
		out = append(out, k)
	}
	return out
}

func (p *plugin) printKeys(keys []inventory.Key, everywhere bool) error {
	if done, err := p.data(keys); done {
		return err
	}
	if len(keys) == 0 {
		fmt.Fprintln(p.Err, "No keys found.")
		return nil
	}
	wide := p.output == "wide"
	var t table
	row := func(namespace string, middle []string, end ...string) {
		cells := middle
		if everywhere {
			cells = append([]string{namespace}, cells...)
		}
		if wide {
			cells = append(cells, end...)
		}
		t.add(cells...)
	}
	row("NAMESPACE", []string{"USER", "LISTENER", "FINGERPRINT", "TYPE", "BITS", "ORIGIN", "EXPIRES", "LAST USED", "STATE"},
		"COMMENT", "ADDED", "SHARED WITH", "NOTE")
	for _, k := range keys {
		expires, bits := "", ""
		if k.ExpirationTime != nil {
			expires = k.ExpirationTime.Format(time.DateOnly)
		}
		if k.Bits != 0 {
			bits = strconv.Itoa(int(k.Bits))
		}
		row(k.Namespace, []string{k.User, k.Listener, k.Fingerprint, k.Type, bits, k.Origin, expires, k.LastUsedDate, k.State},
			printable(k.Comment), k.AddedDate, strings.Join(k.SharedWith, ","), k.Note)
	}
	return t.print(p.Out)
}

// printable replaces characters that a terminal would interpret, because partners write comments.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
