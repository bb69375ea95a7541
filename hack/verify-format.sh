#!/usr/bin/env bash
# Is all Go code formatted? (The linters require more: groups of imports. `make format` does both.)
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

unformatted="$(files '*.go' ':!**/testdata/**' | xargs -0 -r gofmt -l)"
if [[ -n $unformatted ]]; then
	echo "Not formatted, run 'make format':" >&2
	printf '  %s\n' "$unformatted" >&2
	exit 1
fi
