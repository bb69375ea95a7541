package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// UsersOf returns the users that name a listener: in all namespaces if the caller may list them, otherwise in the
// listener's and the caller's own, where allowed. all reports which.
func (c *Cluster) UsersOf(ctx context.Context, listener types.NamespacedName) (users []v1alpha1.SFTPUser, all bool, err error) {
	found, err := c.usersIn(ctx, "")
	if all = err == nil; apierrors.IsForbidden(err) {
		for _, namespace := range slices.Compact([]string{listener.Namespace, c.Namespace}) {
			var more []v1alpha1.SFTPUser
			if more, err = c.usersIn(ctx, namespace); err != nil && !apierrors.IsForbidden(err) {
				break
			}
			found, err = append(found, more...), nil
		}
	}
	if err != nil {
		return nil, false, err
	}
	for i := range found {
		if ListenerName(&found[i]) == listener {
			users = append(users, found[i])
		}
	}
	return users, all, nil
}

// FindUser returns the SFTPUser of the namespace with a name, or else the one with that login name, because that is what a
// partner knows. Users of other namespaces are found if the caller may list them. If several listeners have the login name, the
// error names their users.
func (c *Cluster) FindUser(ctx context.Context, name string) (*v1alpha1.SFTPUser, error) {
	u, err := c.User(ctx, name)
	if !apierrors.IsNotFound(err) {
		return u, err
	}
	for _, namespace := range []string{c.Namespace, ""} {
		users, listErr := c.usersIn(ctx, namespace)
		if listErr != nil {
			break // the first error is about the name that was asked for
		}
		users = slices.DeleteFunc(users, func(u v1alpha1.SFTPUser) bool { return u.Status.Username != name })
		switch len(users) {
		case 0:
		case 1:
			return &users[0], nil
		default:
			names := make([]string, 0, len(users))
			for i := range users {
				names = append(names, users[i].Namespace+"/"+users[i].Name)
			}
			return nil, fmt.Errorf("the login name %q belongs to several SFTPUsers: %s; give the name of one of them, and its namespace with -n", name, strings.Join(names, ", "))
		}
	}
	return nil, fmt.Errorf("%w; no SFTPUser has that login name either", err)
}

func (c *Cluster) usersIn(ctx context.Context, namespace string) ([]v1alpha1.SFTPUser, error) {
	var list v1alpha1.SFTPUserList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list SFTPUsers: %w", err)
	}
	return list.Items, nil
}
