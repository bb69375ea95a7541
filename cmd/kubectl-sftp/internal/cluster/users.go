package cluster

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// UsersOf returns the users that name a listener: of all namespaces if the caller may list them, else of those of the
// listener's namespace and the caller's own where that is allowed. all tells which.
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

func (c *Cluster) usersIn(ctx context.Context, namespace string) ([]v1alpha1.SFTPUser, error) {
	var list v1alpha1.SFTPUserList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list SFTPUsers: %w", err)
	}
	return list.Items, nil
}
