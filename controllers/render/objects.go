package render

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
)

// ServiceAccount returns the account that pods run as. It has no permissions and no token.
func ServiceAccount(l *v1alpha1.SFTPListener) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   plainMeta(l, WorkloadName(l)),
		AutomountServiceAccountToken: new(false),
	}
}

// PodDisruptionBudget lets node maintenance take one pod at a time. Pods that are not ready
// serve no users, so they must not block it.
func PodDisruptionBudget(l *v1alpha1.SFTPListener) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: workloadMeta(l, WorkloadName(l)),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable:             new(intstr.FromInt32(1)),
			Selector:                   &metav1.LabelSelector{MatchLabels: Selector(l)},
			UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow),
		},
	}
}

// NetworkPolicy allows everyone to reach the SFTP port, but only the operator, pods in monitoring
// namespaces if there are any, and the relay of a listener with events, to reach the health port. Probes of the kubelet
// come from the node and are not subject to it.
func NetworkPolicy(l *v1alpha1.SFTPListener, operatorNamespace string) *networkingv1.NetworkPolicy {
	port := func(p int32) networkingv1.NetworkPolicyPort {
		return networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(p))}
	}
	peers := watchers(operatorNamespace)
	if l.Spec.Events != nil { // the relay
		peers = append(peers, networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: relaySelector(l)}})
	}
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: workloadMeta(l, WorkloadName(l)),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: Selector(l)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{
				{Ports: []networkingv1.NetworkPolicyPort{port(SFTPPort)}},
				{Ports: []networkingv1.NetworkPolicyPort{port(HealthPort)}, From: peers},
			},
			// No egress: the daemon only connects to a trace collector. Someone who may write
			// NetworkPolicies has to allow that, because otherwise anyone who can write a
			// listener could make its pods connect to any address.
		},
	}
}

// watchers returns the peers that may read the pods' state: the operator, and the pods of monitoring namespaces.
func watchers(operatorNamespace string) []networkingv1.NetworkPolicyPeer {
	return []networkingv1.NetworkPolicyPeer{
		{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: operatorNamespace}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{labelName: "sftp-operator"}},
		},
		{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{LabelMonitoring: "true"}}},
	}
}

// LabelMonitoring, with the value "true" on a Namespace, lets its pods scrape metrics of
// listeners' pods.
const LabelMonitoring = "sftp-operator.io/monitoring"

// Claim returns the claim of a volume with a claimTemplate.
func Claim(l *v1alpha1.SFTPListener, v v1alpha1.ListenerVolume) *corev1.PersistentVolumeClaim {
	t := v.ClaimTemplate
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	if len(t.AccessModes) > 0 {
		modes = nil
		for _, m := range t.AccessModes {
			modes = append(modes, corev1.PersistentVolumeAccessMode(m))
		}
	}
	c := &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: plainMeta(l, attach.ClaimName(l, v.Name)),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes,
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: t.Storage}},
		},
	}
	// Argo CD neither deletes a claim with these annotations nor reports its Application as
	// out of sync, even if it mistakes the claim for its own.
	c.Annotations = map[string]string{
		"argocd.argoproj.io/sync-options":    "Prune=false",
		"argocd.argoproj.io/compare-options": "IgnoreExtraneous",
	}
	if t.StorageClassName != "" {
		c.Spec.StorageClassName = &t.StorageClassName
	}
	return c
}

// HostKey returns the SFTPKey of a listener without hostKeyRefs. Its Secret outlives it.
func HostKey(l *v1alpha1.SFTPListener) *v1alpha1.SFTPKey {
	return &v1alpha1.SFTPKey{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "SFTPKey"},
		ObjectMeta: plainMeta(l, DefaultHostKeyName(l)),
		Spec: v1alpha1.SFTPKeySpec{
			Usage:          v1alpha1.KeyUsageHost,
			Source:         v1alpha1.KeyGenerated,
			DeletionPolicy: v1alpha1.Retain,
		},
	}
}

// HostKeys returns the SFTPKeys of a listener without hostKeyRefs. Under Legacy2026 there is also an RSA key: the clients that
// need the policy support nothing newer. It stays when the policy changes, because clients may know only this key. earlier are
// the host keys of a listener that is restored.
func HostKeys(l *v1alpha1.SFTPListener, earlier []v1alpha1.HostKeyStatus) []*v1alpha1.SFTPKey {
	out := []*v1alpha1.SFTPKey{HostKey(l)}
	isRSA := func(k v1alpha1.HostKeyStatus) bool { return k.Name == DefaultRSAHostKeyName(l) }
	if l.Spec.CryptoPolicy == v1alpha1.CryptoLegacy2026 || slices.ContainsFunc(l.Status.HostKeys, isRSA) || slices.ContainsFunc(earlier, isRSA) {
		k := HostKey(l)
		k.Name, k.Spec.Algorithm = DefaultRSAHostKeyName(l), v1alpha1.KeyRSA3072
		out = append(out, k)
	}
	return out
}

// Secret returns an owned Secret.
func Secret(l *v1alpha1.SFTPListener, name string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: plainMeta(l, name),
		Type:       SecretType,
		Data:       data,
	}
}

// SecretType marks the Secrets of daemons' configurations.
const SecretType corev1.SecretType = "sftp-operator.io/configuration"
