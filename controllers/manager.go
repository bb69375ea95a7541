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
)

// Options of the operator.
type Options struct {
	// DaemonImage is the image that listeners' pods run.
	DaemonImage string
	// OperatorNamespace is where the operator itself runs.
	OperatorNamespace string
	// Version of the operator, for its metrics.
	Version string
	// MaxConcurrentRollouts is how many listeners an upgrade of the operator rolls out at a
	// time; 0 sets no limit.
	MaxConcurrentRollouts int
	// Asker asks pods what they have loaded; HTTP when nil.
	Asker ack.Asker
	// Now is the clock; that of the machine when nil.
	Now func() time.Time
	// Registry takes the operator's metrics; that of the library when nil.
	Registry prometheus.Registerer
	// Traces are of the reconciles of listeners; none when nil.
	Traces trace.TracerProvider
}

// NewScheme returns a scheme with the kinds of Kubernetes and of the operator.
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
// it watches, all if empty. Of pods, Deployments and the like it sees its own alone; of
// Secrets and Namespaces the metadata, since contents are read when they are needed.
func CacheOptions(namespaces []string) (cache.Options, error) {
	req, err := labels.NewRequirement(v1alpha1.LabelListener, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, err
	}
	own := cache.ByObject{Label: labels.NewSelector().Add(*req)}
	o := cache.Options{
		DefaultTransform: slim,
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.SFTPUser{}:            {Transform: slimUser},
			&corev1.Secret{}:                {Transform: slimSecret},
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
