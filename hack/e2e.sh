#!/usr/bin/env bash
# The end-to-end tests on a real Kubernetes node: cluster up, image in, tests, cluster down. The cluster goes away after a
# failure, too, unless KEEP_CLUSTER=1. Arguments go to `go test`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

[[ -d test/e2e ]] || missing test/e2e
make="${MAKE:-make}"

if [[ ${KEEP_CLUSTER:-0} != 1 ]]; then
	trap '"$make" cluster-down' EXIT
fi
"$make" cluster-up
# Twice the same content under two names: a roll-out needs another reference.
"$make" cluster-load IMAGE=sftp-operator:next
"$make" cluster-load IMAGE=sftp-operator:dev

KUBECONFIG="$("$make" --silent kubeconfig)"
KUBECTL="$(bin/cluster assets)/kubectl"
HELM="${HELM:-$(hack/tools/run.sh --path helm)}"
KUSTOMIZE="${KUSTOMIZE:-$(hack/tools/run.sh --path kustomize)}"
# What the tests do to the node needs root, as the node does.
CLUSTER="$PWD/bin/cluster"
[[ $(id -u) == 0 ]] || CLUSTER="sudo -E env PATH=$PATH $CLUSTER"
PLUGIN="$PWD/bin/kubectl-sftp"
# In CI the machine does other things, too: what is promised in seconds may take twice as long there.
[[ ${CI:-} != true ]] || export SLOW_MACHINE="${SLOW_MACHINE:-2}"
export KUBECONFIG KUBECTL HELM KUSTOMIZE CLUSTER PLUGIN IMAGE=sftp-operator:dev
# -count=1: a result of another cluster is no result.
(
	set -x
	go test -v -count=1 -timeout "${E2E_TIMEOUT:-40m}" "$@" ./test/e2e/...
)
