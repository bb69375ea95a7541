// Package controllers wires the operator together: one reconciler for each kind, and
// caches that hold no Secret.
package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/controllers/relay/watch"
)

// Options of the operator.
type Options struct {
	// DaemonImage is the image that listeners' pods run.
	DaemonImage string
	// OperatorNamespace is where the operator itself runs.
	OperatorNamespace string
	// Version is the operator's version, for its metrics.
	Version string
	// MaxConcurrentRollouts is how many listeners an upgrade of the operator rolls out at a
	// time; 0 sets no limit.
	MaxConcurrentRollouts int
	// Platform has the platform team's policy for all listeners; nil for none. PolicyInterval is how often its file is read; 0 for
	// every five seconds.
	Platform       *platform.Source
	PolicyInterval time.Duration
	// SuggestInterval is how often a refused user learns which listeners admit its namespace; 0 for every ten minutes.
	SuggestInterval time.Duration
	// StatusClient asks pods what they have loaded; HTTP when nil.
	StatusClient ack.StatusClient
	// Relays asks relays for the state of their events; HTTP when nil.
	Relays watch.StatusClient
	// Now is the clock; nil for time.Now.
	Now func() time.Time
	// Registry receives the operator's metrics; nil for the library's.
	Registry prometheus.Registerer
	// Traces receives spans of listeners' reconciles; nil for none.
	Traces trace.TracerProvider
}

// NewScheme returns a scheme with Kubernetes' and the operator's kinds.
func NewScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		panic(err) // only a programming error can do that
	}
	if err := v1alpha1.AddToScheme(s); err != nil {
		panic(err)
	}
	return s
}

// CacheOptions restricts the caches to what the operator needs. namespaces are those that
// it watches, all if empty. They only have the operator's own pods, Deployments and so on,
// and only metadata of Secrets and Namespaces, whose contents are read when needed.
func CacheOptions(namespaces []string) (cache.Options, error) {
	req, err := labels.NewRequirement(v1alpha1.LabelListener, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, err
	}
	own := cache.ByObject{Label: labels.NewSelector().Add(*req)}
	o := cache.Options{
		DefaultTransform: stripUnused,
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.SFTPUser{}:            {Transform: stripUser},
			&corev1.Secret{}:                {Transform: stripSecretMetadata},
			&corev1.Pod{}:                   own,
			&corev1.Service{}:               own,
			&corev1.ServiceAccount{}:        own,
			&appsv1.Deployment{}:            own,
			&appsv1.ReplicaSet{}:            own,
			&networkingv1.NetworkPolicy{}:   own,
			&policyv1.PodDisruptionBudget{}: own,
		},
	}
	if len(namespaces) > 0 {
		o.DefaultNamespaces = map[string]cache.Config{}
		for _, ns := range namespaces {
			o.DefaultNamespaces[ns] = cache.Config{}
		}
	}
	return o, nil
}
