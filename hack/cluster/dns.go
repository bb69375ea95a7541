package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

const (
	clusterDomain = "cluster.local"
	dnsUser       = "sftp-operator-dns"
)

// dnsServiceIP returns the address of the Service kube-system/kube-dns, by convention the tenth of the range.
func (s settings) dnsServiceIP() netip.Addr {
	ip := s.ServicesNet.Addr()
	for range 10 {
		ip = ip.Next()
	}
	return ip
}

// dns returns CoreDNS as a process on the node: there is no image to run it from.
func dns(s settings, bin string) program {
	return program{"coredns", filepath.Join(bin, "coredns"), []string{"-conf", s.path("config", "Corefile")}}
}

func writeDNSConfig(s settings) error {
	resolv, err := os.ReadFile(resolvConf())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(s.path("config", "Corefile"), []byte(corefile(s, string(resolv))), 0o644)
}

// dnsPort is the usual one, which NetworkPolicies allow. No other cluster uses it, since each binds it on its own node's address.
const dnsPort = 53

// corefile answers for the cluster's names, and forwards the rest if the machine has a DNS server to forward it to.
func corefile(s settings, resolv string) string {
	forward := ""
	for line := range strings.Lines(resolv) {
		if strings.HasPrefix(strings.TrimSpace(line), "nameserver") {
			forward = "    forward . " + resolvConf() + "\n"
		}
	}
	return fmt.Sprintf(`.:%d {
    bind %s
    errors
    loadbalance
    cache 5
    kubernetes %s %s {
        kubeconfig %s
        ttl 5
    }
%s}
`, dnsPort, s.nodeIP(), clusterDomain, s.ServicesNet, s.path("config", "dns.kubeconfig"), forward)
}

// createDNSService lets CoreDNS read what it serves, and creates the Service through which pods reach it.
func createDNSService(ctx context.Context, s settings, api *api) error {
	const rbac = "/apis/rbac.authorization.k8s.io/v1/"
	ports := func(more func(protocol, name string) object) []object {
		return []object{more("UDP", "dns"), more("TCP", "dns-tcp")}
	}
	readAll := func(group string, resources ...string) object {
		return object{"apiGroups": []string{group}, "resources": resources, "verbs": []string{"list", "watch"}}
	}
	return errors.Join(
		api.create(ctx, rbac+"clusterroles", object{
			"metadata": object{"name": dnsUser},
			"rules": []object{
				readAll("", "endpoints", "services", "pods", "namespaces"),
				readAll("discovery.k8s.io", "endpointslices"),
			},
		}),
		api.create(ctx, rbac+"clusterrolebindings", object{
			"metadata": object{"name": dnsUser},
			"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": dnsUser},
			"subjects": []object{{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": dnsUser}},
		}),
		api.create(ctx, "/api/v1/namespaces/kube-system/services", object{
			"metadata": object{"name": "kube-dns", "labels": object{"k8s-app": "kube-dns"}},
			"spec": object{"clusterIP": s.dnsServiceIP().String(), "ports": ports(func(protocol, name string) object {
				return object{"name": name, "protocol": protocol, "port": 53, "targetPort": dnsPort}
			})},
		}),
		// The Service selects no pods, so its endpoint is named here: the node.
		api.create(ctx, "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices", object{
			"metadata":    object{"name": "kube-dns", "labels": object{"kubernetes.io/service-name": "kube-dns"}},
			"addressType": "IPv4",
			"endpoints":   []object{{"addresses": []string{s.nodeIP().String()}, "conditions": object{"ready": true}}},
			"ports": ports(func(protocol, name string) object {
				return object{"name": name, "protocol": protocol, "port": dnsPort}
			}),
		}),
	)
}

// dnsReady returns nil if the DNS server knows the API server's Service.
func dnsReady(ctx context.Context, s settings) error {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, netip.AddrPortFrom(s.nodeIP(), dnsPort).String())
	}}
	_, err := resolver.LookupHost(ctx, "kubernetes.default.svc."+clusterDomain+".")
	return err
}
