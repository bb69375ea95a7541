// Package cluster gives the plug-in access to a cluster, with the caller's kubeconfig and only the caller's permissions.
package cluster

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Flags choose a cluster and a namespace, like kubectl's.
type Flags struct {
	rules     *clientcmd.ClientConfigLoadingRules
	overrides clientcmd.ConfigOverrides
}

// AddTo adds --kubeconfig, --context, --namespace and kubectl's other flags that choose a server and an identity.
func (f *Flags) AddTo(flags *pflag.FlagSet) {
	f.rules = clientcmd.NewDefaultClientConfigLoadingRules()
	flags.StringVar(&f.rules.ExplicitPath, clientcmd.RecommendedConfigPathFlag, "", "path to the kubeconfig file")
	names := clientcmd.RecommendedConfigOverrideFlags("")
	// Basic authentication to API servers is long gone, and a flag --password would be mistaken for a user's.
	names.AuthOverrideFlags.Username.LongName, names.AuthOverrideFlags.Password.LongName = "", ""
	clientcmd.BindOverrideFlags(&f.overrides, flags, names)
}

func (f *Flags) config() clientcmd.ClientConfig {
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(f.rules, &f.overrides)
}

// Namespace returns the namespace of the flags, or that of the kubeconfig's context. Without a kubeconfig it is
// "default".
func (f *Flags) Namespace() (string, error) {
	namespace, _, err := f.config().Namespace()
	if clientcmd.IsEmptyConfig(err) {
		return metav1.NamespaceDefault, nil
	}
	return namespace, err
}

// Cluster is a cluster as one caller may use it.
type Cluster struct {
	client.Client
	// Config is the client configuration.
	Config *rest.Config
	// Namespace is the default namespace of objects.
	Namespace string
}

// requestsPerSecond limits the load on the API server from an inventory of many Secrets; its own fairness rules do the rest.
const requestsPerSecond = 50

// Connect returns the cluster of the flags. It makes no request.
func (f *Flags) Connect() (*Cluster, error) {
	config, err := f.config().ClientConfig()
	if err != nil {
		return nil, err
	}
	namespace, err := f.Namespace()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = requestsPerSecond, 2*requestsPerSecond
	config.UserAgent = "kubectl-sftp"
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme} {
		utilruntime.Must(add(scheme))
	}
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	return &Cluster{Client: c, Config: config, Namespace: namespace}, nil
}

// User returns an SFTPUser of the namespace.
func (c *Cluster) User(ctx context.Context, name string) (*v1alpha1.SFTPUser, error) {
	u := &v1alpha1.SFTPUser{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: name}, u); err != nil {
		return nil, fmt.Errorf("SFTPUser %s/%s: %w", c.Namespace, name, err)
	}
	return u, nil
}

// ListenerOf returns the listener that a user names.
func (c *Cluster) ListenerOf(ctx context.Context, u *v1alpha1.SFTPUser) (*v1alpha1.SFTPListener, error) {
	name := ListenerName(u)
	l := &v1alpha1.SFTPListener{}
	if err := c.Get(ctx, name, l); err != nil {
		return nil, fmt.Errorf("SFTPListener %s: %w", name, err)
	}
	return l, nil
}

// ListenerName returns the listener that a user names.
func ListenerName(u *v1alpha1.SFTPUser) types.NamespacedName {
	name := types.NamespacedName{Namespace: u.Spec.ListenerRef.Namespace, Name: u.Spec.ListenerRef.Name}
	if name.Namespace == "" {
		name.Namespace = u.Namespace
	}
	return name
}
