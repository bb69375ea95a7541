#!/usr/bin/env bash
# Runs every hack/verify-*.sh, prints which passed, and fails if one did not. A part of the tree that is missing is skipped with
# a note, or is a failure if CI=true.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

failed=()
for check in hack/verify-*.sh; do
	name="${check#hack/verify-}"
	name="${name%.sh}"
	started=$SECONDS
	if "$check"; then
		printf 'ok      %-10s %3ds\n' "$name" $((SECONDS - started))
	else
		printf 'FAIL    %-10s %3ds   (run only this: %s)\n' "$name" $((SECONDS - started)) "$check"
		failed+=("$name")
	fi
done

if ((${#failed[@]} > 0)); then
	echo "verify failed: ${failed[*]}" >&2
	exit 1
fi
