#!/usr/bin/env bash
# Are the workflows sound, with no permissions by default and every action pinned to a commit? How to find the commit of an
# action's version: git ls-remote https://github.com/OWNER/NAME 'refs/tags/VERSION^{}' refs/tags/VERSION
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

workflows=(.github/workflows/*.yml)
[[ -f ${workflows[0]} ]] || missing .github/workflows

status=0
if unpinned="$(grep -nE '^\s*(-\s+)?uses:' "${workflows[@]}" | grep -vE 'uses: [A-Za-z0-9._/-]+@[0-9a-f]{40} # v[0-9]+(\.[0-9]+)*$')"; then
	echo "Not pinned to a commit with the version in a comment:" >&2
	echo "$unpinned" >&2
	status=1
fi
for workflow in "${workflows[@]}"; do
	grep -qx 'permissions: {}' "$workflow" || {
		echo "$workflow: want 'permissions: {}' at the top, and permissions for each job" >&2
		status=1
	}
done
hack/tools/run.sh actionlint "${workflows[@]}" || status=1
exit "$status"
