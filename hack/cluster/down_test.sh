#!/usr/bin/env bash
# Checks that the development cluster leaves nothing behind: snapshots of this machine before and after must be equal, for a
# cluster with pods and volumes, for one whose programs were killed, and for one whose start was interrupted. It takes a running
# cluster down, and leaves none. Run it as root from anywhere in the source tree; it takes about a minute.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cluster=$work/cluster
dir=${SFTP_OPERATOR_CLUSTER_DIR:-/var/lib/sftp-operator-cluster}
go build -o "$cluster" ./hack/cluster

say() { printf '== %s\n' "$*"; }

# processes prints the processes that belong to the cluster according to their executable or command line.
processes() {
    local exe args pid
    for pid in /proc/[0-9]*; do
        exe=$(readlink "$pid/exe" 2>/dev/null) || continue
        args=$(tr '\0' ' ' <"$pid/cmdline" 2>/dev/null) || continue
        case $exe in
        */containerd* | */runc | */kube* | */etcd | */coredns | "$dir"/*) echo "$exe $args" ;;
        /pause) echo "$exe" ;;
        esac
    done
}

# snapshot prints everything that a cluster could leave behind, without what changes on its own: counters, and the empty
# built-in chains that iptables-save prints once a table was used.
snapshot() {
    echo '[processes]'
    processes
    echo '[mounts]'
    awk '{print $5}' /proc/self/mountinfo
    echo '[links]'
    ip -brief link | awk '{print $1}'
    echo '[addresses]'
    ip -brief -4 address | awk '{$2 = ""; print}'
    echo '[routes]'
    ip route
    echo '[namespaces]'
    ip netns
    echo '[firewall]'
    { iptables-save && ip6tables-save; } 2>/dev/null | sed -nE '/^(-A|:[^ ]+ -)/{s/ *\[.*//;p}' | sort
    echo '[cgroups]'
    find /sys/fs/cgroup -type d \( -name '*kube*' -o -name '*sftp-operator*' -o -name '*containerd*' \) | sort
    echo '[sysctls]'
    grep -H . /proc/sys/net/{ipv4/{ip_forward,conf/all/route_localnet},bridge/bridge-nf-call-iptables} \
        /proc/sys/{vm/{overcommit_memory,panic_on_oom},kernel/{panic,panic_on_oops,keys/root_maxkeys,keys/root_maxbytes}} \
        /proc/sys/net/netfilter/nf_conntrack_max 2>/dev/null || true
    echo '[files]'
    find "$dir" /run/containerd /var/lib/cni /var/lib/kubelet /var/log/containers /var/log/pods \
        /run/sftp-operator-cluster.lock /etc/cni /var/run/netns 2>/dev/null || true
}

check() {
    # A socket or a cgroup may take a moment to disappear.
    sleep 1
    snapshot >"$work/after"
    if ! diff -u "$work/before" "$work/after"; then
        echo "FAILED: $1 left the lines with + behind" >&2
        exit 1
    fi
    say "ok: $1 left nothing"
}

# workload runs a pod with volumes, a Secret and a NodePort.
workload() {
    local kubectl
    kubectl=$(go run ./hack/cluster assets)/kubectl
    KUBECONFIG=$("$cluster" kubeconfig)
    export KUBECONFIG
    "$kubectl" apply -f - <<'YAML'
apiVersion: v1
kind: Namespace
metadata: {name: down-test, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Secret
metadata: {name: secret, namespace: down-test}
stringData: {key: value}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: down-test}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: memory, namespace: down-test}
spec: {accessModes: [ReadWriteOnce], storageClassName: local-memory, resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Service
metadata: {name: pod, namespace: down-test}
spec: {type: NodePort, selector: {app: pod}, ports: [{port: 22, targetPort: 2222}]}
---
apiVersion: v1
kind: Pod
metadata: {name: pod, namespace: down-test, labels: {app: pod}}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: pause
    image: localhost/sftp-operator-pause:1
    imagePullPolicy: Never
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: secret, mountPath: /secret}, {name: data, mountPath: /data}, {name: memory, mountPath: /memory}]
  volumes:
  - {name: secret, secret: {secretName: secret}}
  - {name: data, persistentVolumeClaim: {claimName: data}}
  - {name: memory, persistentVolumeClaim: {claimName: memory}}
YAML
    "$kubectl" -n down-test wait --for=condition=Ready pod/pod --timeout=60s
}

"$cluster" down
snapshot >"$work/before"
if grep -E 'sftpop0|KUBE-|SFTPOP-|sftp-operator-cluster' "$work/before"; then
    echo 'FAILED: down left the lines above behind' >&2
    exit 1
fi

say 'a cluster with a pod, started twice'
"$cluster" up
"$cluster" up
workload
"$cluster" kill kubelet
"$cluster" start kubelet
"$cluster" kill kube-network-policies
if "$cluster" status >/dev/null 2>&1; then
    echo 'FAILED: status calls a cluster healthy that does not enforce NetworkPolicies' >&2
    exit 1
fi
"$cluster" start kube-network-policies
"$cluster" cut 10.201.0.250:2222
"$cluster" cut 10.201.0.251:8081 10.201.0.252
"$cluster" down
check 'down'

say 'containerd and the kubelet killed, then up again'
"$cluster" up
workload
"$cluster" kill containerd
"$cluster" kill kubelet
if "$cluster" status >/dev/null 2>&1; then
    echo 'FAILED: status calls a cluster without containerd and kubelet healthy' >&2
    exit 1
fi
"$cluster" up
workload
"$cluster" down
check 'down after a crash'

for signal in INT KILL; do
    for after in 0.3 2 6; do
        say "up interrupted by SIG$signal after $after s"
        "$cluster" up &
        sleep "$after"
        kill "-$signal" $!
        wait $! || true
        "$cluster" down
        check "SIG$signal after $after s, then down"
    done
done

"$cluster" down
check 'down without a cluster'
echo "1 passed, 0 failed"
