#!/usr/bin/env bash
# Builds the documentation into bin/site as static pages, and checks them.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

out="${1:-bin/site}"
hack/tools/run.sh hugo build --config hack/site/hugo.yaml --source . --destination "$(realpath -m "$out")" --cleanDestinationDir \
	--cacheDir "$(mktemp -d)" --panicOnWarning --noBuildLock
go run ./hack/site/check "$out"
