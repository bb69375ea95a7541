// Package render builds the objects of a listener and the daemon's configuration. It
// is pure: it touches no client, and equal input gives equal output.
package render

import (
	"fmt"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Ports of the pods.
const (
	SFTPPort   = 2222
	HealthPort = 8081
)

// Labels of the pods and of what belongs to them.
const (
	labelName      = "app.kubernetes.io/name"
	labelInstance  = "app.kubernetes.io/instance"
	labelComponent = "app.kubernetes.io/component"
	labelManagedBy = "app.kubernetes.io/managed-by"
)

// WorkloadName is the name of a listener's Deployment, Service, ServiceAccount,
// PodDisruptionBudget and NetworkPolicy.
func WorkloadName(l *v1alpha1.SFTPListener) string { return l.Name + "-sftp" }

// ConfigSecretName is the name of the Secret with the settings and host keys.
func ConfigSecretName(l *v1alpha1.SFTPListener) string { return WorkloadName(l) + "-config" }

// KnownHostsName is the name of the ConfigMap with lines for known_hosts.
func KnownHostsName(l *v1alpha1.SFTPListener) string { return WorkloadName(l) + "-known-hosts" }

// ShardSecretName is the name of the Secret with the i-th shard of users.
func ShardSecretName(l *v1alpha1.SFTPListener, i int) string {
	return fmt.Sprintf("%s-users-%02d", WorkloadName(l), i)
}

// DefaultHostKeyName is the name of the SFTPKey of a listener without hostKeyRefs.
func DefaultHostKeyName(l *v1alpha1.SFTPListener) string { return l.Name + "-ed25519" }

// ShardFile is the name of the i-th shard in its Secret and in the pod.
func ShardFile(i int) string { return config.ShardFile(i) }

// Selector selects a listener's pods. It is the operator's own label only: the usual ones,
// app.kubernetes.io/name and instance, are also on what other releases of the same name
// made, and a selector cannot be changed once a Deployment has it.
func Selector(l *v1alpha1.SFTPListener) map[string]string {
	return map[string]string{v1alpha1.LabelListener: l.Name}
}

// Labels returns the labels of pods and of what stands in front of them: Deployment, Service,
// PodDisruptionBudget and NetworkPolicy. Those that the operator relies on win over those of
// spec.infrastructure.
func Labels(l *v1alpha1.SFTPListener) map[string]string {
	out := ownersKeys(l.Spec.Infrastructure.Labels)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, plainLabels(l))
	out[labelInstance] = l.Name
	return out
}

// plainLabels returns the labels of everything else: Secrets, claims, the ServiceAccount, the
// SFTPKey and the ConfigMap.
//
// None of spec.infrastructure are among them. Controllers act on labels and annotations of
// such objects: they copy Secrets to other namespaces and bind cloud identities to accounts.
// Anyone who may write a listener could use them without having these rights.
//
// Nor is app.kubernetes.io/instance: claims have no owner, and Argo CD with label tracking
// takes an object without one for a part of the Application that the label names, and prunes
// it (argoproj/argo-cd#26556).
func plainLabels(l *v1alpha1.SFTPListener) map[string]string {
	return map[string]string{
		labelName:              "sftpd",
		labelComponent:         "endpoint",
		labelManagedBy:         "sftp-operator",
		v1alpha1.LabelListener: l.Name,
	}
}

// ownersKeys returns a copy of labels or annotations that a listener's owner gave, without
// those that the operator would take for its own.
func ownersKeys(given map[string]string) map[string]string {
	out := maps.Clone(given)
	maps.DeleteFunc(out, func(key, _ string) bool { return strings.HasPrefix(key, ownPrefix) })
	return out
}

// ownPrefix is that of the operator's labels and annotations.
const ownPrefix = "sftp-operator.io/"

// plainMeta returns the metadata of an object that nothing of spec.infrastructure is on.
func plainMeta(l *v1alpha1.SFTPListener, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: l.Namespace, Labels: plainLabels(l)}
}

// workloadMeta returns the metadata of pods' neighbors, see Labels.
func workloadMeta(l *v1alpha1.SFTPListener, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:        name,
		Namespace:   l.Namespace,
		Labels:      Labels(l),
		Annotations: ownersKeys(l.Spec.Infrastructure.Annotations),
	}
}
