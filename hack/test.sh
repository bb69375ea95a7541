#!/usr/bin/env bash
# Runs tests with the race detector, all except the end-to-end ones: hack/test.sh [PACKAGE...] [-- FLAG...] Without a package it
# runs all. A failure does not stop the others.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

KUBEBUILDER_ASSETS="$(bin/cluster assets)"
HELM="$(hack/tools/run.sh --path helm)"
export KUBEBUILDER_ASSETS HELM CGO_ENABLED=1 SLOW_MACHINE="${SLOW_MACHINE:-5}"
patterns=()
while (($#)) && [[ $1 != -- ]]; do
	patterns+=("$1")
	shift
done
((${#patterns[@]})) || patterns=(./...)
# Parallel tests wait most of the time, so more of them run at a time than there are processors.
tests=(go test -race -parallel 4 -timeout "${TEST_TIMEOUT:-30m}" "${@:2}")

# These start programs and measure them, so they run one at a time: otherwise they would measure each other.
measuring='/test/(attack|distance)$'
# These take longest, and usually wait for an API server and for clients. Their promised times are far from the limits.
waiting='/test/(interop|operator)$'

packages="$(go list "${patterns[@]}")"
together=() pair=() alone=() status=0

# Most of what the first run compiles, with progress: go test would be silent for minutes.
mapfile -t compiled < <(go list -f '{{if and .GoFiles (ne .Name "main")}}{{.ImportPath}}{{end}}' "${patterns[@]}")
((${#compiled[@]} == 0)) || hack/go-build.sh "packages to test" -race "${compiled[@]}" || status=1

while read -r package; do
	if [[ $package =~ $measuring ]]; then
		alone+=("$package")
	elif [[ $package =~ $waiting ]]; then
		pair+=("$package")
	elif [[ $package != */test/e2e ]]; then
		together+=("$package")
	fi
done <<<"$packages"
((${#together[@]} == 0)) || "${tests[@]}" "${together[@]}" || status=1
((${#pair[@]} == 0)) || "${tests[@]}" "${pair[@]}" || status=1
((${#alone[@]} == 0)) || "${tests[@]}" -p 1 "${alone[@]}" || status=1
if [[ ${patterns[*]} == ./... ]]; then
	(cd hack/bench && "${tests[@]}" ./...) || status=1
fi
exit "$status"
