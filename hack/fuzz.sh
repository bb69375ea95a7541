#!/usr/bin/env bash
# Fuzzes each Fuzz function of the packages given (default: all) for FUZZTIME. go test takes one function at a time. A
# failure does not keep the others from their turn.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

fuzztime="${FUZZTIME:-20s}"
found=0
failed=()
while read -r package; do
	while read -r function; do
		found=$((found + 1))
		echo "== $package $function"
		# By default each input that is new is shortened for up to a minute, which leaves no time for others.
		go test -run '^$' -fuzz "^$function\$" -fuzztime "$fuzztime" -fuzzminimizetime 1s "$package" || failed+=("$package $function")
	done < <(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "${@:-./...}" | grep -v '/test/e2e')
if ((${#failed[@]})); then
	printf 'fuzz: failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "fuzzed $found functions for $fuzztime each"
