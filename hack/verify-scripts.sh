#!/usr/bin/env bash
# Are the shell scripts sound?
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/missing.sh

command -v shellcheck >/dev/null || missing "shellcheck (hack/install-packages.sh installs it)"

git ls-files -z --cached --others --exclude-standard -- '*.sh' .ci/run |
	while IFS= read -r -d '' file; do
		[[ -e $file ]] && printf '%s\0' "$file"
	done | xargs -0 -r shellcheck --external-sources
