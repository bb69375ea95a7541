#!/usr/bin/env bash
# Are the generated files what `make generate` writes? It runs in a copy of the tree, uncommitted changes included, so
# the tree itself stays as it is.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

for source in api controllers "${CHART:-charts/sftp-operator}"; do
	[[ -d $source ]] || missing "$source"
done

copy="$(mktemp -d)"
trap 'rm -rf -- "$copy"' EXIT

mkdir "$copy/before" "$copy/after"
files . | xargs -0 cp --parents -a -t "$copy/before" --
cp -a "$copy/before/." "$copy/after/"

if ! "$copy/after/hack/generate.sh" >"$copy/log" 2>&1; then
	cat "$copy/log" >&2
	echo "make generate fails" >&2
	exit 1
fi

if ! (cd "$copy" && diff -ruN before after) >"$copy/diff"; then
	head -n 60 "$copy/diff" >&2
	echo >&2
	echo "Generated files are stale:" >&2
	sed -n 's#^diff -ruN before/\(.*\) after/.*#  \1#p' "$copy/diff" >&2
	echo "Run 'make generate' and commit what it changes." >&2
	exit 1
fi
