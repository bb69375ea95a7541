#!/usr/bin/env bash
# Fuzzes each Fuzz function of the packages given (default: all) for FUZZTIME. go test takes one function at a time. A
# failure does not stop the others.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

fuzztime="${FUZZTIME:-15s}"
output="$(mktemp)"
trap 'rm -f "$output"' EXIT

# By default each new input is minimized for up to a minute, which leaves no time for other inputs.
fuzz() {
	local again=0
	while ! go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" -fuzzminimizetime 1s "$1" 2>&1 | tee "$output"; do
		# Before 1.27, Go may fail a function that found nothing at the moment its time is up (golang.org/issue/75804). If there is
		# a finding, it names the input's file.
		((again++ < 3)) && grep -q '^ *context deadline exceeded$' "$output" && ! grep -q 'Failing input written to' "$output" || return 1
		echo "== again $1 $2"
	done
}

# functions prints each as "package function". go test -list would build the tests of all packages for that, which takes
# minutes.
functions() {
	# shellcheck disable=SC2016 # the dollars are the template's
	local files='{{$package := .ImportPath}}{{$dir := .Dir}}' package file
	# shellcheck disable=SC2016
	files+='{{range .TestGoFiles}}{{$package}} {{$dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$package}} {{$dir}}/{{.}}{{"\n"}}{{end}}'
	go list -f "$files" "${@:-./...}" | while read -r package file; do
		[[ -z $file ]] || sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$package \1|p" "$file"
	done
}

found=0
failed=()
while read -r package function; do
	found=$((found + 1))
	echo "== $package $function"
	fuzz "$package" "$function" || failed+=("$package $function")
done < <(functions "$@")
if ((${#failed[@]})); then
	printf 'fuzz: failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "fuzzed $found functions for $fuzztime each"
