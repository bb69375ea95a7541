#!/usr/bin/env bash
# Installs a release on the development node the way users install it: from a registry (on loopback), by digest, after verifying
# its signature, with cosign as well, which takes minutes to build the first time. Then it goes through the steps of the demo.
# VERSION names the release; it is built for this machine only. HELM may name a different Helm. `make cluster-down` removes the
# node.
set -euo pipefail
shopt -s inherit_errexit
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

version="${VERSION:-v0.0.0-node}"
address="${REGISTRY:-127.0.0.1:5055}"
work="$(mktemp -d)"
serving=
clean() {
	[[ -z $serving ]] || kill "$serving" 2>/dev/null || true
	rm -rf -- "$work"
}
trap clean EXIT

go run ./hack/release -quick -dirty -version "$version" -o "$work/dist"
go build -C hack/release/registry -o "$work/registry" .
"$work/registry" key "$work/key"
"$work/registry" sign "$work/dist" "$work/key"

"$work/registry" serve "$address" &
serving=$!
for _ in {1..50}; do
	! curl --fail --silent --output /dev/null "http://$address/v2/" || break
	sleep 0.2
done
pushed="$("$work/registry" push "$work/dist" "$address")"
echo "$pushed"
while read -r reference; do
	"$work/registry" verify "$work/key.pub" "$reference"
	echo "verified: $reference"
done <<<"$pushed"

# The same with the commands of docs/verifying.md, for a key.
KEY="$work/key.pub"
IMAGE="$(head -n 1 <<<"$pushed")"
CHART="$(tail -n 1 <<<"$pushed")"
PLATFORM_IMAGE="${IMAGE%@*}@$(sed -n 's/.*-amd64@//p' "$work/dist/images.txt")"
PATH="$(dirname -- "$(hack/tools/run.sh --path cosign)"):$PATH"
export KEY IMAGE CHART PLATFORM_IMAGE PATH
# shellcheck disable=SC2016 # the dollars are the page's
sed -nE '/^cosign verify(-attestation)? /s/--certificate-identity "\$IDENTITY" --certificate-oidc-issuer "\$ISSUER"/--key "$KEY" --insecure-ignore-tlog/p' \
	docs/verifying.md >"$work/verify.sh"
[[ "$(wc -l <"$work/verify.sh")" == 4 ]] || {
	echo "docs/verifying.md no longer has the four commands for images and charts" >&2
	exit 1
}
sh -eux "$work/verify.sh" >/dev/null

DEMO_CHART="oci://$(tail -n 1 <<<"$pushed")" DEMO_REPOSITORY="$(head -n 1 <<<"$pushed" | cut -d@ -f1)" hack/demo.sh
