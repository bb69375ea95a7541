package render

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// dnsPorts are the ports of DNS servers: OpenShift's pods use 5353.
var dnsPorts = []int32{53, 5353}

// notPublic are the networks that contain no public addresses. The relay checks each address more exactly; this
// also holds for a relay that was taken over.
var notPublic = map[string][]string{
	"0.0.0.0/0": {
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16",
		"198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
	},
	"2000::/3": nil,
}

// RelayPolicy returns the NetworkPolicy of a relay. Only the operator and monitoring namespaces reach it. It reaches DNS, the
// status port of the listener's pods, and the sinks: the pods of the listener's namespace for a Service there, those of the
// namespace that the platform allows for another Service, and public addresses, or the platform's networks, at the port of
// a URL.
func RelayPolicy(l *v1alpha1.SFTPListener, operatorNamespace string, sinks []delivery.Sink) *networkingv1.NetworkPolicy {
	policy := &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: relayMeta(l, RelayName(l)),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: relaySelector(l)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				Ports: []networkingv1.NetworkPolicyPort{tcp(HealthPort)}, From: watchers(operatorNamespace),
			}},
			Egress: []networkingv1.NetworkPolicyEgressRule{
				{Ports: dns()},
				{
					Ports: []networkingv1.NetworkPolicyPort{tcp(HealthPort)},
					To:    []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: Selector(l)}}},
				},
			},
		},
	}
	for _, s := range sinks {
		for _, rule := range egress(l, s) {
			if !slices.ContainsFunc(policy.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool { return sameRule(r, rule) }) {
				policy.Spec.Egress = append(policy.Spec.Egress, rule)
			}
		}
	}
	return policy
}

// egress returns what a sink needs, nothing for one that is held.
func egress(l *v1alpha1.SFTPListener, s delivery.Sink) []networkingv1.NetworkPolicyEgressRule {
	u, err := url.Parse(s.URL)
	if s.Held != "" || err != nil {
		return nil
	}
	if namespace, ok := ServiceNamespace(u.Hostname()); ok {
		peer := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
		if namespace != l.Namespace {
			peer.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
		}
		// The pods' port may differ from the Service's.
		return []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{peer}}}
	}
	rule := networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{tcp(portOf(u))}}
	for _, cidr := range []string{"0.0.0.0/0", "2000::/3"} {
		rule.To = append(rule.To, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr, Except: notPublic[cidr]}})
	}
	for _, n := range s.Networks {
		if p, err := netip.ParsePrefix(n); err == nil {
			rule.To = append(rule.To, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: p.String()}})
		}
	}
	return []networkingv1.NetworkPolicyEgressRule{rule}
}

// ServiceNamespace returns the namespace of the Service that a host name refers to, and whether it refers to one.
func ServiceNamespace(host string) (string, bool) {
	parts := strings.Split(strings.TrimSuffix(host, ".cluster.local"), ".")
	if n := len(parts); n >= 3 && parts[n-1] == "svc" {
		return parts[n-2], true
	}
	return "", false
}

func portOf(u *url.URL) int32 {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil && n > 0 {
		return int32(n)
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}

func tcp(port int32) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(port))}
}

func sameRule(a, b networkingv1.NetworkPolicyEgressRule) bool {
	return equality.Semantic.DeepEqual(a, b)
}

func dns() (out []networkingv1.NetworkPolicyPort) {
	for _, port := range dnsPorts {
		for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
			out = append(out, networkingv1.NetworkPolicyPort{Protocol: new(protocol), Port: new(intstr.FromInt32(port))})
		}
	}
	return out
}
