#!/usr/bin/env bash
# Is every go.mod and go.sum what `go mod tidy` would write?
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

status=0
while IFS= read -r -d '' file; do
	directory="$(dirname -- "$file")"
	if ! go -C "$directory" mod tidy -diff; then
		echo "$file is not tidy: run 'go -C $directory mod tidy'" >&2
		status=1
	fi
done < <(files go.mod '*/go.mod')
exit "$status"
