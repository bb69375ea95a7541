#!/usr/bin/env bash
# The end-to-end tests on a real Kubernetes node: start the cluster, load the image, run the tests, remove the cluster. The
# cluster is removed even after a failure, unless KEEP_CLUSTER=1. Arguments go to `go test`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

[[ -d test/e2e ]] || missing test/e2e
make="${MAKE:-make}"

if [[ ${KEEP_CLUSTER:-0} != 1 ]]; then
	trap '"$make" cluster-down' EXIT
fi
"$make" cluster-up
# The same content under several names: a rollout needs a different reference, and the documentation's commands use their own.
"$make" cluster-load IMAGE=sftp-operator:next
"$make" cluster-load IMAGE=images.example.com/sftp-operator:dev
"$make" cluster-load IMAGE=sftp-operator:dev

KUBECONFIG="$("$make" --silent kubeconfig)"
KUBECTL="$(bin/cluster assets)/kubectl"
HELM="${HELM:-$(hack/tools/run.sh --path helm)}"
KUSTOMIZE="${KUSTOMIZE:-$(hack/tools/run.sh --path kustomize)}"
# The tests change the node, which requires root, as does starting it.
CLUSTER="$PWD/bin/cluster"
[[ $(id -u) == 0 ]] || CLUSTER="sudo -E env PATH=$PATH $CLUSTER"
PLUGIN="$PWD/bin/kubectl-sftp"
# In CI the machine is busy: time limits in seconds are doubled there.
[[ ${CI:-} != true ]] || export SLOW_MACHINE="${SLOW_MACHINE:-2}"
export KUBECONFIG KUBECTL HELM KUSTOMIZE CLUSTER PLUGIN IMAGE=sftp-operator:dev
# -count=1: a result from another cluster is not valid.
(
	set -x
	go test -v -count=1 -parallel 3 -timeout "${E2E_TIMEOUT:-40m}" "$@" ./test/e2e/...
)
