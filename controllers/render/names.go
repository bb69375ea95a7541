// Package render builds the objects of a listener and the daemon's configuration. It
// is pure: it touches no client, and equal input gives equal output.
package render

import (
	"fmt"
	"maps"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
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

// ClaimName is the name of the claim of a volume with a claimTemplate.
func ClaimName(l *v1alpha1.SFTPListener, volume string) string { return l.Name + "-" + volume }

// DefaultHostKeyName is the name of the SFTPKey of a listener without hostKeyRefs.
func DefaultHostKeyName(l *v1alpha1.SFTPListener) string { return l.Name + "-ed25519" }

// ShardFile is the name of the i-th shard in its Secret and in the pod.
func ShardFile(i int) string { return config.ShardFile(i) }

// Selector selects a listener's pods.
func Selector(l *v1alpha1.SFTPListener) map[string]string {
	return map[string]string{labelName: "sftpd", labelInstance: l.Name}
}

// Labels of every object of a listener. Those that the operator relies on win over
// those of spec.infrastructure.
func Labels(l *v1alpha1.SFTPListener) map[string]string {
	out := maps.Clone(l.Spec.Infrastructure.Labels)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, Selector(l))
	out[labelComponent] = "endpoint"
	out[labelManagedBy] = "sftp-operator"
	out[v1alpha1.LabelListener] = l.Name
	return out
}
