#!/usr/bin/env bash
# Checks the release process, for linux/amd64 only: two builds of HEAD, in different folders and with different environment
# settings, have equal bytes; and the result is signed, pushed to a registry on loopback, verified there, and refused after a
# change (hack/release/registry). PLATFORMS=all builds all platforms, which takes minutes from empty caches.
set -euo pipefail
shopt -s inherit_errexit
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

version="${VERSION:-v0.0.0-check}"
options=(-version "$version")
[[ ${PLATFORMS:-} == all ]] || options+=(-quick)

commit="$(git rev-parse HEAD)"
work="$(mktemp -d)"
clean() {
	rm -rf -- "$work"
	git worktree prune
}
trap clean EXIT

# build FOLDER builds the commit there into FOLDER/dist.
build() {
	git worktree add --quiet --detach "$1/tree" "$commit"
	(cd "$1/tree" && go run -buildvcs=false ./hack/release "${options[@]}" -o "$1/dist")
}
mkdir -p "$work/one" "$work/two/and/deeper"
build "$work/one"
(
	export TZ=Asia/Kathmandu LC_ALL=C GOFLAGS=-buildvcs=true GOAMD64=v3
	umask 077
	build "$work/two/and/deeper"
) >/dev/null
if ! diff -r "$work/one/dist" "$work/two/and/deeper/dist"; then
	echo "two builds of one commit differ" >&2
	exit 1
fi
echo "two builds of one commit are equal: SHA256SUMS is $(sha256sum <"$work/one/dist/SHA256SUMS" | cut -d' ' -f1)"

(cd "$work/one/dist" && sha256sum --quiet --check SHA256SUMS)

# Helm pulls the chart from the registry. With all platforms Helm 4 does so too, cosign runs the commands of docs/verifying.md, and
# Krew installs the plug-in.
HELM="$(hack/tools/run.sh --path helm)"
COSIGN=
tags=()
if [[ ${PLATFORMS:-} == all ]]; then
	HELM+=":$(hack/tools/run.sh --path helm4)"
	COSIGN="$(hack/tools/run.sh --path cosign)"
	tags=(-tags cosign -v -timeout 30m)
	hack/release/krew.sh "$work/one/dist" "$version"
fi
RELEASE_DIST="$work/one/dist" HELM="$HELM" COSIGN="$COSIGN" go -C hack/release/registry test -count=1 "${tags[@]}" ./...
