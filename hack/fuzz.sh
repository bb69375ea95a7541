#!/usr/bin/env bash
# Fuzzes each Fuzz function of the packages given (default: all) for FUZZTIME. go test takes one function at a time.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

fuzztime="${FUZZTIME:-30s}"
found=0
while read -r package; do
	while read -r function; do
		found=$((found + 1))
		echo "== $package $function"
		go test -run '^$' -fuzz "^$function\$" -fuzztime "$fuzztime" "$package"
	done < <(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "${@:-./...}" | grep -v '/test/e2e')
echo "fuzzed $found functions for $fuzztime each"
