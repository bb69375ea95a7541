#!/usr/bin/env bash
# Are the generated files what `make generate` writes? It runs in a copy of the tree, uncommitted changes included, so
# the tree itself stays as it is.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

copy="$(mktemp -d)"
trap 'rm -rf -- "$copy"' EXIT

# Tracked files, without those deleted from the tree, and untracked ones that are not ignored.
git ls-files -z --cached --others --exclude-standard |
	while IFS= read -r -d '' file; do
		[[ -e $file ]] && printf '%s\0' "$file"
	done >"$copy/list"
mkdir "$copy/before" "$copy/after"
xargs -0 -a "$copy/list" cp --parents -a -t "$copy/before" --
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
