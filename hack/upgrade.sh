#!/usr/bin/env bash
# The upgrade test on a real Kubernetes node: the operator of FROM, endpoints with live sessions, then the operator of this tree,
# then FROM again, and finally this tree again. The image and the chart of FROM are those of its release, built by its own
# hack/release. FROM is a git ref; without one it is the newest tag before this commit, or if there is no tag, the commit at which
# this branch left the main one. The cluster is removed afterwards unless KEEP_CLUSTER=1. Arguments go to `go test`.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

make="${MAKE:-make}"
as_root() { if ((EUID == 0)); then "$@"; else sudo -E env "PATH=$PATH" "$@"; fi; }

from="${FROM:-$(git describe --tags --match 'v*' --abbrev=0 HEAD^ 2>/dev/null || git merge-base HEAD origin/main 2>/dev/null || true)}"
[[ -n $from ]] || missing "a version to upgrade from: no tag and no branch origin/main; give FROM=<git ref>"
commit="$(git rev-parse --verify "$from^{commit}")"

previous="$(mktemp -d)"
clean() {
	git worktree remove --force "$previous/tree" 2>/dev/null || true
	rm -rf "$previous"
	if [[ ${KEEP_CLUSTER:-0} != 1 ]]; then
		"$make" cluster-down
	fi
}
trap clean EXIT
git worktree add --quiet --detach "$previous/tree" "$commit"
if [[ -d $previous/tree/hack/release ]]; then
	(cd "$previous/tree" && env -u VERSION -u CHART go run ./hack/release -quick -version v0.0.0-previous -o "$previous/dist")
	# containerd imports only images with a full name; in a release, images have only tags.
	index="$(jq '.manifests |= map(select(.annotations["org.opencontainers.image.ref.name"])
		| .annotations["io.containerd.image.name"] = "docker.io/library/sftp-operator:previous")' "$previous/dist/image/index.json")"
	echo "$index" >"$previous/dist/image/index.json"
	tar -C "$previous/dist/image" -cf "$previous/image.tar" .
	chart=("$previous"/dist/sftp-operator-*.tgz)
else # before there were releases: its own Makefile, without this one's settings
	env -u VERSION -u CHART -u MAKEFLAGS -u MAKELEVEL "$make" -C "$previous/tree" image IMAGE=sftp-operator:previous IMAGE_TAR="$previous/image.tar"
	chart=("$previous/tree/charts/sftp-operator")
fi

"$make" cluster-up
as_root bin/cluster load "$previous/image.tar"
"$make" cluster-load IMAGE=sftp-operator:dev

KUBECONFIG="$("$make" --silent kubeconfig)"
KUBECTL="$(bin/cluster assets)/kubectl"
HELM="${HELM:-$(hack/tools/run.sh --path helm)}"
PREVIOUS_CHART="${chart[0]}"
PREVIOUS_VERSION="$(git describe --tags --always "$commit")"
export KUBECONFIG KUBECTL HELM PREVIOUS_CHART PREVIOUS_VERSION IMAGE=sftp-operator:dev
(
	set -x
	go test -v -count=1 -tags upgrade -run '^Test(Upgrade|Downgrade)$' -timeout "${E2E_TIMEOUT:-40m}" "$@" ./test/e2e
)
