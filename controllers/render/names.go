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

// Labels of the pods and the objects that belong to them.
const (
	labelName      = "app.kubernetes.io/name"
	labelInstance  = "app.kubernetes.io/instance"
	labelComponent = "app.kubernetes.io/component"
	labelManagedBy = "app.kubernetes.io/managed-by"
)

// WorkloadName returns the name of a listener's Deployment, Service, ServiceAccount,
// PodDisruptionBudget and NetworkPolicy.
func WorkloadName(l *v1alpha1.SFTPListener) string { return l.Name + "-sftp" }

// ConfigSecretName returns the name of the Secret with the settings and host keys.
func ConfigSecretName(l *v1alpha1.SFTPListener) string { return WorkloadName(l) + "-config" }

// KnownHostsName returns the name of the ConfigMap with lines for known_hosts.
func KnownHostsName(l *v1alpha1.SFTPListener) string { return WorkloadName(l) + "-known-hosts" }

// ReceiptKeyName returns the name of the Secret with the key that signs receipts.
func ReceiptKeyName(l *v1alpha1.SFTPListener) string { return WorkloadName(l) + "-receipt-key" }

// ShardSecretName returns the name of the Secret with the i-th shard of users.
func ShardSecretName(l *v1alpha1.SFTPListener, i int) string {
	return fmt.Sprintf("%s-users-%02d", WorkloadName(l), i)
}

// DefaultHostKeyName returns the name of the SFTPKey of a listener without hostKeyRefs.
func DefaultHostKeyName(l *v1alpha1.SFTPListener) string { return l.Name + "-ed25519" }

// DefaultRSAHostKeyName returns the name of its second SFTPKey, for clients that know only RSA.
func DefaultRSAHostKeyName(l *v1alpha1.SFTPListener) string { return l.Name + "-rsa" }

// ShardFile returns the name of the i-th shard in its Secret and in the pod.
func ShardFile(i int) string { return config.ShardFile(i) }

// Selector selects a listener's pods. It only uses the operator's own label: the usual
// ones, app.kubernetes.io/name and instance, are also on objects of other releases with the
// same name, and a Deployment's selector cannot be changed.
func Selector(l *v1alpha1.SFTPListener) map[string]string {
	return map[string]string{v1alpha1.LabelListener: l.Name}
}

// Labels returns the labels of pods and of what stands in front of them: Deployment, Service,
// PodDisruptionBudget and NetworkPolicy. Those that the operator relies on take precedence
// over those of spec.infrastructure.
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
// They exclude those of spec.infrastructure. Controllers act on labels and annotations of
// such objects: they copy Secrets to other namespaces and bind cloud identities to accounts.
// Anyone who may write a listener could trigger that without having those permissions.
//
// They also exclude app.kubernetes.io/instance: claims have no owner, and Argo CD with label
// tracking treats an object without an owner as part of the Application that the label
// names, and prunes it (argoproj/argo-cd#26556).
func plainLabels(l *v1alpha1.SFTPListener) map[string]string {
	return map[string]string{
		labelName:              "sftpd",
		labelComponent:         "endpoint",
		labelManagedBy:         "sftp-operator",
		v1alpha1.LabelListener: l.Name,
	}
}

// ownersKeys returns a copy of labels or annotations that a listener's owner gave, without
// those that the operator would mistake for its own.
func ownersKeys(given map[string]string) map[string]string {
	out := maps.Clone(given)
	maps.DeleteFunc(out, func(key, _ string) bool { return strings.HasPrefix(key, ownPrefix) })
	return out
}

// ownPrefix is the prefix of the operator's labels and annotations.
const ownPrefix = "sftp-operator.io/"

// plainMeta returns the metadata of an object without labels and annotations of spec.infrastructure.
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
