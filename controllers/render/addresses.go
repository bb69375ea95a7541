package render

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// standardPort is SSH's default port, which known_hosts lines omit.
const standardPort = 22

// Addresses returns where clients connect: the names that the listener's owner gave,
// then those of the load balancer, then the name inside the cluster.
func Addresses(l *v1alpha1.SFTPListener, svc *corev1.Service) []v1alpha1.ListenerAddress {
	outside := ServicePort(l)
	if svc.Spec.Type == corev1.ServiceTypeNodePort && len(svc.Spec.Ports) > 0 && svc.Spec.Ports[0].NodePort != 0 {
		outside = svc.Spec.Ports[0].NodePort
	}
	var out []v1alpha1.ListenerAddress
	add := func(value string, port int32) {
		a := v1alpha1.ListenerAddress{Type: v1alpha1.AddressHostname, Value: value, Port: port}
		if _, err := netip.ParseAddr(value); err == nil {
			a.Type = v1alpha1.AddressIPAddress
		}
		if value != "" && !slices.Contains(out, a) && len(out) < maxAddresses {
			out = append(out, a)
		}
	}
	for _, h := range l.Spec.Hostnames {
		add(h, outside)
	}
	for _, in := range svc.Status.LoadBalancer.Ingress {
		add(in.Hostname, outside)
		add(in.IP, outside)
	}
	add(fmt.Sprintf("%s.%s.svc", svc.Name, svc.Namespace), ServicePort(l))
	return out
}

// NodePort returns the port of the nodes on which a Service is reached, 0 for none.
func NodePort(svc *corev1.Service) int32 {
	if svc.Spec.Type == corev1.ServiceTypeClusterIP || len(svc.Spec.Ports) == 0 {
		return 0
	}
	return svc.Spec.Ports[0].NodePort
}

// maxAddresses bounds status.addresses.
const maxAddresses = 32

// KnownHosts returns a line of a known_hosts file for each address and host key.
func KnownHosts(addresses []v1alpha1.ListenerAddress, keys []v1alpha1.HostKeyStatus) []string {
	var out []string
	for _, a := range addresses {
		host := a.Value
		if a.Port != standardPort {
			host = fmt.Sprintf("[%s]:%d", a.Value, a.Port)
		}
		for _, k := range keys {
			// Without the comment: the line is for machines.
			fields := strings.Fields(k.PublicKey)
			out = append(out, strings.Join(append([]string{host}, fields[:min(2, len(fields))]...), " "))
		}
	}
	return out
}
