#!/usr/bin/env bash
# The daemon does not know Kubernetes: none of its packages may be in the daemon's import graph, however deep.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

[[ -d cmd/sftpd ]] || missing cmd/sftpd

graph="$(go list -deps ./cmd/sftpd)"
module="$(go list -m)"
if found="$(grep -E "^([a-z0-9.-]*\.)?k8s\.io/|^$module/(api|controllers)(/|$)" <<<"$graph")"; then
	echo "cmd/sftpd imports, directly or indirectly, what the daemon must not contain:" >&2
	echo "$found" >&2
	echo "To find the package that imports it: go list -f '{{.ImportPath}}: {{.Imports}}' -deps ./cmd/sftpd" >&2
	exit 1
fi
