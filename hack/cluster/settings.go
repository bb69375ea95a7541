package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
)

const (
	clusterName = "sftp-operator-cluster" // of the CNI network, the cgroup and the kubeconfig context
	nodeName    = "sftp-operator-node"
	bridgeName  = "sftpop0"
)

// settings is what can be chosen by environment variables; everything else follows from it. It is stored with the
// cluster, so that `up` can detect that a running one was started with other settings.
type settings struct {
	Dir         string       // the one folder that holds the cluster's state
	Cache       string       // what is built once and outlives clusters
	Port        int          // of the API server; the other components' ports follow it
	PodNet      netip.Prefix // its first address is the node's
	ServicesNet netip.Prefix
}

// The ports that follow the API server's.
const (
	etcdPort = iota + 1
	etcdPeerPort
	kubeletPort
	kubeletHealthPort
	controllerManagerPort
	schedulerPort
	proxyHealthPort
	proxyMetricsPort
	portCount
)

func settingsFrom(env func(string) string) (settings, error) {
	get := func(name, fallback string) string {
		if v := env(name); v != "" {
			return v
		}
		return fallback
	}
	var s settings
	var err error

	if s.Dir, err = filepath.Abs(get("SFTP_OPERATOR_CLUSTER_DIR", "/var/lib/"+clusterName)); err != nil {
		return s, err
	}
	if len(s.Dir) > 60 { // the sockets in it must stay below the 108 bytes of a Unix socket's address
		return s, fmt.Errorf("SFTP_OPERATOR_CLUSTER_DIR %s: too long, choose a path of at most 60 bytes", s.Dir)
	}
	cache := get("XDG_CACHE_HOME", filepath.Join(env("HOME"), ".cache"))
	if s.Cache, err = filepath.Abs(get("SFTP_OPERATOR_CACHE", filepath.Join(cache, "sftp-operator"))); err != nil {
		return s, err
	}
	port := get("SFTP_OPERATOR_CLUSTER_PORT", "16443")
	if s.Port, err = strconv.Atoi(port); err != nil || s.Port < 1024 || s.Port+portCount > 30000 {
		return s, fmt.Errorf("SFTP_OPERATOR_CLUSTER_PORT %q: want a port from 1024 to %d (NodePorts start at 30000)", port, 30000-portCount)
	}
	if s.PodNet, err = network("SFTP_OPERATOR_CLUSTER_PODS", get("SFTP_OPERATOR_CLUSTER_PODS", "10.201.0.0/24")); err != nil {
		return s, err
	}
	if s.ServicesNet, err = network("SFTP_OPERATOR_CLUSTER_SERVICES", get("SFTP_OPERATOR_CLUSTER_SERVICES", "10.202.0.0/24")); err != nil {
		return s, err
	}
	if s.PodNet.Overlaps(s.ServicesNet) {
		return s, fmt.Errorf("SFTP_OPERATOR_CLUSTER_PODS %s and SFTP_OPERATOR_CLUSTER_SERVICES %s overlap", s.PodNet, s.ServicesNet)
	}
	return s, nil
}

func network(name, value string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(value)
	if err != nil || !p.Addr().Is4() || p != p.Masked() || p.Bits() < 12 || p.Bits() > 25 {
		return p, fmt.Errorf("%s %q: want an IPv4 network from /12 to /25, such as 10.201.0.0/24", name, value)
	}
	return p, nil
}

func (s settings) port(offset int) int { return s.Port + offset }

// nodeIP returns the node's address: the bridge's, which is also the pods' gateway. The kubelet does not accept a loopback address.
func (s settings) nodeIP() netip.Addr { return s.PodNet.Addr().Next() }

// apiServiceIP returns the address of the Service default/kubernetes: always the first of the range.
func (s settings) apiServiceIP() netip.Addr { return s.ServicesNet.Addr().Next() }

func (s settings) path(elem ...string) string {
	return filepath.Join(append([]string{s.Dir}, elem...)...)
}

func (s settings) kubeconfig() string       { return s.path("kubeconfig") }
func (s settings) containerdSocket() string { return s.path("containerd", "containerd.sock") }
func (s settings) cert(name string) string  { return s.path("pki", name+".crt") }
func (s settings) key(name string) string   { return s.path("pki", name+".key") }
func (s settings) log(name string) string   { return s.path("logs", name+".log") }
func (s settings) url() string              { return fmt.Sprintf("https://127.0.0.1:%d", s.Port) }
