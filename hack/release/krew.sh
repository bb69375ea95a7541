#!/usr/bin/env bash
# Installs the plug-in of a release with Krew, as users do, and runs it through kubectl; also checks that Krew refuses a
# different archive.
#
#   hack/release/krew.sh DIST VERSION
set -euo pipefail
shopt -s inherit_errexit
dist="$(realpath -- "${1:?the folder with the release}")"
version="${2:?its version}"
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT

# Any kubectl will do: plug-ins are programs in PATH. The fallback is built from source, which takes minutes.
kubectl="$(command -v kubectl)" || kubectl="$(go run ./hack/cluster assets)/kubectl"
# Krew is a plug-in as well.
mkdir -p "$work/bin"
cp -- "$(hack/tools/run.sh --path krew)" "$work/bin/kubectl-krew"
export HOME="$work/home" KREW_ROOT="$work/krew" KUBECONFIG=/dev/null
export PATH="$work/krew/bin:$work/bin:$PATH"
manifest="$dist/krew/sftp.yaml"
archive="$dist/kubectl-sftp_${version}_$(go env GOOS)_$(go env GOARCH).tar.gz"

cp -- "$archive" "$work/changed.tar.gz"
printf 'x' >>"$work/changed.tar.gz"
if "$kubectl" krew install --manifest="$manifest" --archive="$work/changed.tar.gz" >"$work/refused" 2>&1; then
	echo "Krew installed an archive that is not the one in the manifest" >&2
	exit 1
fi
grep -i checksum "$work/refused" || {
	cat "$work/refused" >&2
	exit 1
}

(
	set -x
	"$kubectl" krew install --manifest="$manifest" --archive="$archive" </dev/null
	"$kubectl" plugin list
)
printed="$("$kubectl" sftp --version)"
echo "$printed"
[[ $printed == *"$version"* ]] || {
	echo "kubectl sftp --version does not print $version" >&2
	exit 1
}
"$kubectl" sftp --help | sed -n 1,5p
