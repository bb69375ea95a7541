#!/usr/bin/env bash
# Are the shell scripts sound?
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

command -v shellcheck >/dev/null || missing "shellcheck (hack/install-packages.sh installs it)"

files '*.sh' .ci/run | xargs -0 -r shellcheck --external-sources
