package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

func etcd(s settings, bin string) program {
	client := fmt.Sprintf("https://127.0.0.1:%d", s.port(etcdPort))
	peer := fmt.Sprintf("https://127.0.0.1:%d", s.port(etcdPeerPort))
	return program{"etcd", filepath.Join(bin, "etcd"), []string{
		"--data-dir=" + s.path("etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--cert-file=" + s.cert("etcd"), "--key-file=" + s.key("etcd"),
		"--trusted-ca-file=" + s.cert("etcd-ca"), "--client-cert-auth",
		"--peer-cert-file=" + s.cert("etcd"), "--peer-key-file=" + s.key("etcd"),
		"--peer-trusted-ca-file=" + s.cert("etcd-ca"), "--peer-client-cert-auth",
		// Slow disks make an API server slow, and this data need not survive a power cut.
		"--unsafe-no-fsync",
		"--log-level=warn",
	}}
}

func apiServer(s settings, bin string) program {
	return program{"kube-apiserver", filepath.Join(bin, "kube-apiserver"), []string{
		// It serves kubectl on 127.0.0.1 and pods on the node's address, but can listen only on one address or all: see the
		// firewall.
		"--bind-address=0.0.0.0",
		fmt.Sprintf("--secure-port=%d", s.Port),
		"--advertise-address=" + s.nodeIP().String(),
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", s.port(etcdPort)),
		"--etcd-cafile=" + s.cert("etcd-ca"),
		"--etcd-certfile=" + s.cert("apiserver-etcd"), "--etcd-keyfile=" + s.key("apiserver-etcd"),
		"--client-ca-file=" + s.cert("ca"),
		"--tls-cert-file=" + s.cert("apiserver"), "--tls-private-key-file=" + s.key("apiserver"),
		"--kubelet-client-certificate=" + s.cert("apiserver-kubelet"),
		"--kubelet-client-key=" + s.key("apiserver-kubelet"),
		"--kubelet-certificate-authority=" + s.cert("ca"),
		"--kubelet-preferred-address-types=InternalIP", // the node's name is in no DNS
		"--service-account-issuer=https://kubernetes.default.svc." + clusterDomain,
		"--service-account-key-file=" + s.path("pki", "service-accounts.pub"),
		"--service-account-signing-key-file=" + s.key("service-accounts"),
		"--requestheader-client-ca-file=" + s.cert("front-proxy-ca"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + s.cert("front-proxy"), "--proxy-client-key-file=" + s.key("front-proxy"),
		"--service-cluster-ip-range=" + s.ServicesNet.String(),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--anonymous-auth=false",
		"--allow-privileged=true",
		"--profiling=false",
	}}
}

func controllerManager(s settings, bin string) program {
	return program{"kube-controller-manager", filepath.Join(bin, "kube-controller-manager"), []string{
		"--kubeconfig=" + s.path("config", "controller-manager.kubeconfig"),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", s.port(controllerManagerPort)),
		"--leader-elect=false", // there is only one: waiting for a lease only slows the start
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + s.key("service-accounts"),
		"--root-ca-file=" + s.cert("ca"),
		"--cluster-signing-cert-file=" + s.cert("ca"), "--cluster-signing-key-file=" + s.key("ca"),
		"--flex-volume-plugin-dir=" + s.path("kubelet", "volume-plugins"),
		"--profiling=false",
	}}
}

func scheduler(s settings, bin string) program {
	return program{"kube-scheduler", filepath.Join(bin, "kube-scheduler"), []string{
		"--kubeconfig=" + s.path("config", "scheduler.kubeconfig"),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", s.port(schedulerPort)),
		"--leader-elect=false",
		"--profiling=false",
	}}
}

// startControlPlane starts etcd and the API server, waits until that is ready, and starts the components that need it.
func startControlPlane(ctx context.Context, s settings, bin string) (*api, []process, error) {
	var started []process
	for _, p := range []program{etcd(s, bin), apiServer(s, bin)} { // the API server waits for etcd
		proc, err := start(s, p)
		if err != nil {
			return nil, started, err
		}
		started = append(started, proc)
	}
	api, err := newAPI(s)
	if err != nil {
		return nil, started, err
	}
	if err := waitFor(ctx, s, "kube-apiserver", started, func(ctx context.Context) error {
		return api.get(ctx, "/readyz", nil)
	}); err != nil {
		return nil, started, err
	}
	for _, p := range []program{controllerManager(s, bin), scheduler(s, bin)} {
		proc, err := start(s, p)
		if err != nil {
			return nil, started, err
		}
		started = append(started, proc)
	}
	return api, started, nil
}

// clusterReady returns nil when pods can be created and run, and the add-ons work if there are any.
func clusterReady(ctx context.Context, s settings, api *api) error {
	err := errors.Join(api.nodeReady(ctx), api.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil))
	if hasAddOns(s) {
		err = errors.Join(err, dnsReady(ctx, s), policiesEnforced())
	}
	return err
}
