package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// podLimit keeps a runaway test from swamping two cores; the pods' network has addresses for more.
const podLimit = 60

// writeNodeConfigs writes the configuration of the kubelet and of kube-proxy.
func writeNodeConfigs(s settings) error {
	return errors.Join(
		os.MkdirAll(s.path("kubelet"), 0o750),
		writeJSON(s.path("config", "kubelet.json"), kubeletConfig(s), 0o644),
		writeJSON(s.path("config", "proxy.json"), proxyConfig(s), 0o644),
	)
}

func kubeletConfig(s settings) object {
	return object{
		"apiVersion":               "kubelet.config.k8s.io/v1beta1",
		"kind":                     "KubeletConfiguration",
		"address":                  s.nodeIP().String(),
		"port":                     s.port(kubeletPort),
		"healthzPort":              s.port(kubeletHealthPort),
		"readOnlyPort":             0,
		"containerRuntimeEndpoint": "unix://" + s.containerdSocket(),
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": s.cert("ca")},
		},
		"authorization":     object{"mode": "Webhook"},
		"tlsCertFile":       s.cert("kubelet-server"),
		"tlsPrivateKeyFile": s.key("kubelet-server"),

		"failCgroupV1": false,
		"cgroupDriver": "cgroupfs",
		"cgroupRoot":   "/" + clusterName,
		"failSwapOn":   false,

		"resolvConf":      resolvConf(),
		"clusterDNS":      []string{s.dnsServiceIP().String()},
		"clusterDomain":   clusterDomain,
		"podLogsDir":      s.path("pod-logs"),
		"volumePluginDir": s.path("kubelet", "volume-plugins"),

		"maxPods": podLimit,
		// Leave resources for the control plane and the developer's own programs.
		"systemReserved":         object{"memory": "2Gi"},
		"enforceNodeAllocatable": []string{"pods"},
		// In absolute numbers: a share of a big disk would be too much.
		"evictionHard": object{
			"memory.available": "200Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi",
			"nodefs.inodesFree": "1%", "imagefs.inodesFree": "1%",
		},
		// Never collect images: manually loaded ones cannot be pulled from anywhere.
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,
		"shutdownGracePeriod":         "0s",
	}
}

func kubelet(s settings, bin string) program {
	return program{"kubelet", filepath.Join(bin, "kubelet"), []string{
		"--config=" + s.path("config", "kubelet.json"),
		"--kubeconfig=" + s.path("config", "kubelet.kubeconfig"),
		"--root-dir=" + s.path("kubelet"),
		"--cert-dir=" + s.path("kubelet", "pki"),
		"--hostname-override=" + nodeName,
		"--node-ip=" + s.nodeIP().String(),
	}}
}

func proxyConfig(s settings) object {
	return object{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"mode":               "iptables",
		"hostnameOverride":   nodeName,
		"bindAddress":        s.nodeIP().String(),
		"healthzBindAddress": fmt.Sprintf("127.0.0.1:%d", s.port(proxyHealthPort)),
		"metricsBindAddress": fmt.Sprintf("127.0.0.1:%d", s.port(proxyMetricsPort)),
		"clientConnection":   object{"kubeconfig": s.path("config", "proxy.kubeconfig")},
		"clusterCIDR":        s.PodNet.String(),
		"detectLocalMode":    "ClusterCIDR",
		// NodePorts are only for this machine: a test server must not be exposed to a network.
		"nodePortAddresses": []string{"127.0.0.0/8", s.PodNet.String()},
		"iptables":          object{"localhostNodePorts": true, "minSyncPeriod": "100ms"},
		// Do not change the machine's connection tracking.
		"conntrack": object{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	}
}

func proxy(s settings, bin string) program {
	return program{"kube-proxy", filepath.Join(bin, "kube-proxy"), []string{"--config=" + s.path("config", "proxy.json")}}
}
