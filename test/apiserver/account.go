package apiserver

import (
	"context"
	"os"
	"path/filepath"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

// OperatorRole is the name of the operator's ClusterRole.
const OperatorRole = "manager-role"

// OperatorAccount creates the account that the operator runs as, with only the generated role.
func OperatorAccount(ctx context.Context, env *envtest.Environment, api client.Client) (*rest.Config, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(root, "config", "rbac", "role.yaml"))
	if err != nil {
		return nil, err
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(data, role); err != nil {
		return nil, err
	}
	if err := api.Create(ctx, role); err != nil {
		return nil, err
	}
	err = api.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "sftp-operator"}},
	})
	if err != nil {
		return nil, err
	}
	return Account(env, "sftp-operator")
}

// Account creates a user with a name and no permissions.
func Account(env *envtest.Environment, name string) (*rest.Config, error) {
	user, err := env.AddUser(envtest.User{Name: name}, nil)
	if err != nil {
		return nil, err
	}
	// Tests do in seconds what otherwise happens over hours.
	c := rest.CopyConfig(user.Config())
	c.QPS = -1
	return c, nil
}
