#!/usr/bin/env bash
# Runs a pinned developer tool, building it first if this version has not been built on this machine.
#
#   hack/tools/run.sh NAME [ARGUMENT...]     run it
#   hack/tools/run.sh --path NAME            build it if needed, print where it is
#   hack/tools/run.sh --build-all            build every tool that checks or tests need
#
# A tool's version is the go.mod and go.sum of the module that names it, so the binary is kept under a hash of
# those: changing a pin triggers a build, and two checkouts with different pins do not interfere.
set -euo pipefail
shopt -s inherit_errexit

tools_dir="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
cache="${SFTP_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sftp-operator}/tools"

# NAME, the directory of its module, its package there, and "rare" if most checks do not need it. A package "tool" is found by
# name among the module's tool directives. Modules are separate where their requirements conflict, and where a change to one
# must not rebuild the others: helm-docs needs libraries too old for the others, and golangci-lint has its own main that
# compiles in a plugin.
catalogue() {
	cat <<-EOF
		controller-gen . sigs.k8s.io/controller-tools/cmd/controller-gen
		crd-ref-docs . github.com/elastic/crd-ref-docs
		helm . helm.sh/helm/v3/cmd/helm
		kustomize . sigs.k8s.io/kustomize/kustomize/v5
		helm-docs helm-docs github.com/norwoodj/helm-docs/cmd/helm-docs
		actionlint actionlint github.com/rhysd/actionlint/cmd/actionlint
		govulncheck govulncheck golang.org/x/vuln/cmd/govulncheck rare
		helm4 helm4 helm.sh/helm/v4/cmd/helm rare
		hugo hugo github.com/gohugoio/hugo rare
		krew krew sigs.k8s.io/krew/cmd/krew rare
		cosign cosign github.com/sigstore/cosign/v3/cmd/cosign rare
		golangci-lint golangci-lint .
	EOF
}

# fingerprint prints what determines the bytes of the tools in a module: its sources, and the Go version (a linter built with an
# older Go refuses newer code).
fingerprint() {
	{
		go env GOVERSION GOOS GOARCH
		cat -- "$1"/go.mod "$1"/go.sum
		find "$1" -maxdepth 1 -name '*.go' -exec cat {} +
	} | sha256sum | cut -c1-16
}

# ensure prints the path of the tool NAME, and builds it if it does not exist.
ensure() {
	local name="$1" module package binary
	read -r _ module package _ < <(catalogue | grep -- "^$name " || true) || {
		echo "run.sh: there is no tool named $name; the tools are: $(catalogue | cut -d' ' -f1 | tr '\n' ' ')" >&2
		return 2
	}
	module="$tools_dir/$module"
	binary="$cache/$(fingerprint "$module")/$name"

	if [[ ! -x $binary ]]; then
		mkdir -p -- "$(dirname -- "$binary")"
		(
			# Two concurrent makes must not build it twice, nor run a partially written file.
			flock 9
			[[ -x $binary ]] && exit 0
			echo "building $name (once for this version)" >&2
			CGO_ENABLED=0 GOFLAGS='' GOWORK=off "$tools_dir/../go-build.sh" "$name" -C "$module" -trimpath -gcflags all=-dwarf=false -ldflags '-s -w' -o "$binary.new" "$package"
			mv -- "$binary.new" "$binary"
		) 9>"$binary.lock"
	fi
	echo "$binary"
}

case "${1:-}" in
"" | -h | --help)
	sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
	exit 2
	;;
--path)
	ensure "${2:?name a tool}"
	;;
--build-all)
	while read -r name _ _ rare; do
		[[ -n $rare ]] || ensure "$name" >/dev/null
	done < <(catalogue)
	;;
*)
	binary="$(ensure "$1")"
	shift
	exec "$binary" "$@"
	;;
esac
