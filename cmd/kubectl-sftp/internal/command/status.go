package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
)

func (p *plugin) status() *cobra.Command {
	var everywhere bool
	c := &cobra.Command{
		Use:   "status [LISTENER|USER]",
		Short: "Show endpoints and logins, what is wrong with them, and what to do",
		Long: `Describes a listener or a user: whether it works, how it is reached, which keys it has, and what is wrong.
Without a name, shows all listeners and users of the namespace.

Exits with 1 if something that is shown does not work.`,
		Example: `  # Everything in the namespace
  kubectl sftp status

  # One listener with its users, or one user
  kubectl sftp status partners
  kubectl sftp status acme

  # For programs
  kubectl sftp status acme -o json`,
		Args:              exactly(cobra.MaximumNArgs(1)),
		ValidArgsFunction: p.names(kindListener, kindUser),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := p.flags.Connect()
			if err != nil {
				return err
			}
			var o overview
			if len(args) > 0 {
				o, err = named(c.Context(), k, args[0])
			} else {
				o, err = allOf(c.Context(), k, everywhere)
			}
			if err != nil {
				return err
			}
			done, err := p.data(o)
			switch {
			case done:
			case len(args) == 0:
				err = o.printTable(p.Out)
			default:
				o.printDetails(p.Out)
			}
			if err == nil && !o.works() {
				err = &exitError{code: exitFailed} // everything has been printed
			}
			return err
		},
	}
	c.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "show all namespaces")
	p.outputFlag(c, "json", "yaml")
	return c
}

// named returns the listener and the user with a name; both may exist.
func named(ctx context.Context, k *cluster.Cluster, name string) (overview, error) {
	o := newOverview()
	key := types.NamespacedName{Namespace: k.Namespace, Name: name}
	l := &v1alpha1.SFTPListener{}
	switch err := k.Get(ctx, key, l); {
	case err == nil:
		users, all, err := k.UsersOf(ctx, key)
		if err != nil {
			return o, err
		}
		s := summarizeListener(l)
		for i := range users {
			s.Users = append(s.Users, summarizeUser(&users[i]))
		}
		s.UsersIncomplete = !all
		o.Listeners = append(o.Listeners, s)
	case !apierrors.IsNotFound(err):
		return o, err
	}
	u := &v1alpha1.SFTPUser{}
	switch err := k.Get(ctx, key, u); {
	case err == nil:
		o.Users = append(o.Users, summarizeUser(u))
	case !apierrors.IsNotFound(err):
		return o, err
	}
	if len(o.Listeners)+len(o.Users) == 0 {
		return o, fmt.Errorf("there is neither an SFTPListener nor an SFTPUser %q in namespace %s", name, k.Namespace)
	}
	return o, nil
}

func allOf(ctx context.Context, k *cluster.Cluster, everywhere bool) (overview, error) {
	o := newOverview()
	namespace := k.Namespace
	if everywhere {
		namespace = ""
	}
	var listeners v1alpha1.SFTPListenerList
	var users v1alpha1.SFTPUserList
	if err := k.List(ctx, &listeners, client.InNamespace(namespace)); err != nil {
		return o, err
	}
	if err := k.List(ctx, &users, client.InNamespace(namespace)); err != nil {
		return o, err
	}
	for i := range listeners.Items {
		o.Listeners = append(o.Listeners, summarizeListener(&listeners.Items[i]))
	}
	for i := range users.Items {
		o.Users = append(o.Users, summarizeUser(&users.Items[i]))
	}
	return o, nil
}
